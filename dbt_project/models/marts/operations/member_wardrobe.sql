-- Grain: one row per member, category, size and colour of which the member kept something: bought, and not returned.
{{ config(
    unique_key=['member_id', 'category', 'size', 'colour'],
    scope={'columns': ['member_id'], 'relation': 'int_operations__touched_shoppers'},
    may_be_empty=true,
) }}

with lines as (
    select * from {{ ref('fct_receipt_line') }}
    where
        member_id is not null
        and is_merchandise
        and {{ in_scope('member_id', 'int_operations__touched_shoppers') }}
),

products as (
    select * from {{ ref('dim_product') }}
),

final as (
    select
        lines.member_id,
        coalesce(products.category, 'unknown') as category,
        coalesce(products.size, 'unknown') as size,
        coalesce(products.colour, 'unknown') as colour,
        sum(lines.units)::numeric(14, 3) as units_kept,
        max(lines.business_date) filter (where lines.units > 0) as last_bought_on,
        sum(lines.net_amount)::numeric(14, 2) as net_amount
    from lines
    left join products on lines.sku = products.sku
    group by lines.member_id, products.category, products.size, products.colour
    having sum(lines.units) > 0
)

select * from final
