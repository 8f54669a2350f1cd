-- Grain: one row per product, store and business date up to a quarter before and after the dates touched by this build,
-- of the products that were sold on these: the highest and the lowest price.
with touched as (
    select * from {{ ref('int_release__touched_dates') }}
),

lines as (
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
        sku,
        store_id,
        business_date,
        max(unit_price)::double precision as highest,
        min(unit_price)::double precision as lowest
    from lines
    where
        business_date >= (select min(business_date) - 91 from touched)
        and business_date <= (select max(business_date) + 91 from touched)
        and sku in (select sku from touched_products)
    group by sku, store_id, business_date
)

select * from final
