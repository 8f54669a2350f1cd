-- Grain: one row per product, store and business date up to a quarter before and after the dates touched by this build,
-- of the products that were sold on these: the highest and the lowest price.
with touched as (
    select * from {{ ref('int_release__touched_dates') }}
),

dates as (
    select distinct touched.business_date - 91 + days.number as business_date
    from touched
    cross join generate_series(0, 182) as days (number)
),

lines as not materialized (
    select * from {{ ref('fct_receipt_line') }}
    where unit_price > 0 and units > 0
),

touched_products as (
    select distinct lines.sku
    from lines
    inner join touched on lines.business_date = touched.business_date
),

final as (
    select
        lines.sku,
        lines.store_id,
        lines.business_date,
        max(lines.unit_price)::double precision as highest,
        min(lines.unit_price)::double precision as lowest
    from lines
    inner join dates on lines.business_date = dates.business_date
    where lines.sku in (select touched_products.sku from touched_products)
    group by lines.sku, lines.store_id, lines.business_date
)

select * from final
