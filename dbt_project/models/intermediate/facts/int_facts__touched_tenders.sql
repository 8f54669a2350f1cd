-- Grain: one row per receipt whose tenders may differ from the highest published release: tenders came or went, or the
-- receipt changed, its member included.
with delivered as (
    {{ changed_rows('pos', 'tenders', [receipt_key('fed') ~ ' as receipt_id', 'fed.business_date']) }}
),

changed_receipts as (
    {{ changes('fct_receipt', ['receipt_id', 'business_date']) }}
),

final as (
    select
        receipt_id,
        business_date
    from delivered
    union
    select
        receipt_id,
        business_date
    from changed_receipts
    where not (select building.is_full from {{ source('release', 'building') }} as building)
)

select * from final
