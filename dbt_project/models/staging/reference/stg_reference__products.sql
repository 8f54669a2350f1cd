-- Grain: one row per product, as of the newest file that names it.
with products as (
    {{ active_rows('reference', 'products') }}
),

newest as (
    select
        products.*,
        row_number() over (partition by sku order by _delivered_on desc, _batch_id desc, _line_no desc) as recency
    from products
),

final as (
    select
        sku,
        name,
        category,
        subcategory,
        brand,
        size,
        colour,
        season,
        list_price,
        unit_cost,
        launched_on,
        is_focus
    from newest
    where recency = 1
)

select * from final
