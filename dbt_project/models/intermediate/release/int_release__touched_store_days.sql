-- Grain: one row per store and business date with a receipt that this build changed: what the audits look at. In a full
-- build every one.
with changed as (
    {{ changes('fct_receipt', ['store_id', 'business_date']) }}
    union all
    {{ changes('fct_receipt_line', ['store_id', 'business_date']) }}
),

final as (
    select distinct
        store_id,
        business_date
    from changed
)

select * from final
