-- Grain: one row per product and business date with a receipt line that this build changed.
with changed as (
    {{ changes('fct_receipt_line', ['sku', 'business_date']) }}
),

final as (
    select distinct
        sku,
        business_date
    from changed
    where sku is not null
)

select * from final
