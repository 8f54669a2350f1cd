-- Grain: one row per member and business date with a receipt or a line that this build changed.
{{ config(indexes=[{'columns': ['member_id', 'business_date']}]) }}

with receipts as (
    {{ changes('fct_receipt', ['member_id', 'business_date']) }}
    union all
    {{ changes('fct_receipt_line', ['member_id', 'business_date']) }}
),

-- a product that moves to another category takes the days on which it was bought along
products as (
    {{ changes('dim_product', ['sku', 'category']) }}
),

moved_products as (
    select sku from products
    group by sku
    having count(*) = 2 and count(distinct coalesce(category, '')) = 2
),

final as (
    select
        member_id,
        business_date
    from receipts
    where member_id is not null
    union
    select
        lines.member_id,
        lines.business_date
    from {{ ref('fct_receipt_line') }} as lines
    inner join moved_products on lines.sku = moved_products.sku
    where lines.member_id is not null
)

select * from final
where not (select is_full from {{ ref('int_release__step') }})
