-- Grain: one row per season in which a basket, the category of a product bought or the region of a store that sold
-- differs from the highest published release.
with products as (
    {{ changes('dim_product', ['sku', 'category']) }}
),

moved_products as (
    select sku from products
    group by sku
    having count(distinct coalesce(category, '')) = 2
),

stores as (
    {{ changes('dim_store', ['store_id', 'region']) }}
),

moved_stores as (
    select store_id from stores
    group by store_id
    having count(distinct region) = 2
),

days as (
    select business_date from ({{ changes('fct_receipt', ['business_date']) }}) as receipts
    union
    select business_date from ({{ changes('fct_receipt_line', ['business_date']) }}) as lines
    union
    select lines.business_date
    from {{ ref('fct_receipt_line') }} as lines
    inner join moved_products on lines.sku = moved_products.sku
    union
    select receipts.business_date
    from {{ ref('fct_receipt') }} as receipts
    inner join moved_stores on receipts.store_id = moved_stores.store_id
),

final as (
    select distinct {{ season_start('business_date') }} as season_start
    from days
    where not (select is_full from {{ ref('int_release__step') }})
)

select * from final
