-- Grain: one row per category and size ('': whatever the size) with listed products: the one to offer, of the focus
-- list if there is one, the newest.
{{ config(unique_key=['category', 'size'], may_be_empty=true) }}

with products as (
    select
        products.*,
        sized.for_size
    from {{ ref('dim_product') }} as products
    cross join lateral (values (products.size), ('')) as sized (for_size)
    where products.is_listed and products.category is not null and sized.for_size is not null
),

ranked as (
    select
        products.*,
        row_number() over (
            partition by category, for_size order by is_focus desc, launched_on desc nulls last, sku asc
        ) as place
    from products
),

final as (
    select
        category,
        for_size as size,
        sku,
        is_focus,
        launched_on
    from ranked
    where place = 1
)

select * from final
