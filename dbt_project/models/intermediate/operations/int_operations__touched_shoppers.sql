-- Grain: one row per member of whose purchases a line, or a product in them, differs from the highest published
-- release.
{{ config(indexes=[{'columns': ['member_id']}]) }}

with products as (
    {{ changes('dim_product', ['sku']) }}
),

final as (
    select member_id from ({{ changes('fct_receipt_line', ['member_id']) }}) as lines
    where member_id is not null
    union
    select member_id from ({{ changes('int_members__days', ['member_id']) }}) as days
    union
    select lines.member_id
    from {{ ref('fct_receipt_line') }} as lines
    inner join products on lines.sku = products.sku
    where lines.member_id is not null
)

select * from final
where not (select is_full from {{ ref('int_release__step') }})
