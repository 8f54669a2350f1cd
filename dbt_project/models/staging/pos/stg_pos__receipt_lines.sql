-- Grain: one row per line as landed, up to the as-of date; a line that was sent twice is still here twice.
with lines as (
    {{ active_rows('pos', 'receipt_lines') }}
),

building as (
    select as_of_date from {{ source('release', 'building') }}
),

final as (
    select
        store_id,
        register_id,
        business_date,
        receipt_no,
        receipt_type,
        line_no,
        sku,
        quantity,
        unit_price,
        coalesce(discount_amount, 0) as discount_amount,
        net_amount,
        staff_id,
        coalesce(is_merchandise, true) as is_merchandise,
        _delivered_on,
        _batch_id,
        _line_no
    from lines
    where business_date <= (select as_of_date from building)
)

select * from final
