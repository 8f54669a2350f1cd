-- Grain: one row per tender as landed, up to the as-of date; a tender that was sent twice is still here twice.
with tenders as (
    {{ active_rows('pos', 'tenders') }}
),

building as (
    select as_of_date from {{ source('release', 'building') }}
),

final as (
    select
        {{ receipt_key('tenders') }} as receipt_id,
        tender_no,
        store_id,
        business_date,
        tender_type,
        amount,
        is_settled,
        _delivered_on,
        _batch_id,
        _line_no
    from tenders
    where business_date <= (select as_of_date from building)
)

select * from final
