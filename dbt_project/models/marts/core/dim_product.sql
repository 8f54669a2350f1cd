-- Grain: one row per product that is listed or was sold.
{{ config(
    unique_key=['sku'],
    scope={'columns': ['sku'], 'relation': 'int_products__touched'},
) }}

with products as (
    select * from {{ ref('stg_reference__products') }}
    where {{ in_scope('sku', 'int_products__touched') }}
),

sold as (
    {% if is_full_build() -%}
        select distinct sku from {{ ref('fct_receipt_line') }}
        where sku is not null
    {%- else -%}
        select touched.sku
        from {{ ref('int_products__touched') }} as touched
        where exists (select 1 from {{ ref('fct_receipt_line') }} as lines where lines.sku = touched.sku)
    {%- endif %}
),

final as (
    select
        coalesce(products.sku, sold.sku) as sku,
        products.name as product_name,
        products.category,
        products.subcategory,
        products.brand,
        products.size,
        products.colour,
        products.season,
        coalesce(products.is_focus, false) as is_focus,
        products.launched_on,
        products.sku is not null as is_listed,
        sold.sku is not null as is_sold
    from products
    full join sold on products.sku = sold.sku
)

select * from final
