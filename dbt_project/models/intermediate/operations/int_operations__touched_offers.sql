-- Grain: one row per member to whom something else may be offered than in the highest published release: its wardrobe
-- changed, or what goes with it.
{{ config(indexes=[{'columns': ['member_id']}]) }}

with partners as (
    {{ changes('int_operations__partners', ['category']) }}
),

final as (
    select member_id from {{ ref('int_operations__touched_shoppers') }}
    union
    select member_id from {{ ref('member_wardrobe') }}
    where category in (select partners.category from partners)
)

select * from final
where not (select is_full from {{ ref('int_release__step') }})
