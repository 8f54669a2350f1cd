-- Grain: one row per product that is listed or was sold.
{{ config(unique_key=['sku']) }}

with products as (
    select * from {{ ref('stg_reference__products') }}
),

sold as (
    select distinct sku from {{ ref('fct_receipt_line') }}
    where sku is not null
),

final as (
    select
        coalesce(products.sku, sold.sku) as sku,
        products.name as product_name,
        products.category,
        products.subcategory,
        products.brand,
        products.size,
        products.sku is not null as is_listed,
        sold.sku is not null as is_sold
    from products
    full join sold on products.sku = sold.sku
)

select * from final
