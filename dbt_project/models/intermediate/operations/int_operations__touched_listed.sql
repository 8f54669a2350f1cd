-- Grain: one row per member whose rows in the weekly lists may differ from the highest published release: put on one by
-- this build, or contacted, bought or moved between stages while on one.
{{ config(indexes=[{'columns': ['member_id']}]) }}

with step as (
    select * from {{ ref('int_release__step') }}
),

published as (
    {{ published_rows('repurchase_list', {'week_start': 'date', 'member_id': 'text'}) }}
),

found as (
    select member_id from ({{ changes('int_members__days', ['member_id']) }}) as days
    union
    select member_id from ({{ changes('int_lifecycle__stages', ['member_id']) }}) as stages
    union
    select stages.member_id
    from step
    inner join {{ ref('int_lifecycle__stages') }} as stages
        on step.from_date < stages.valid_from and step.to_date >= stages.valid_from
    union
    select member_id from ({{ changes('fct_contact', ['member_id']) }}) as contacts
    where member_id is not null
),

final as (
    select member_id from {{ ref('int_operations__due') }}
    union
    select published.member_id
    from published
    inner join found on published.member_id = found.member_id
    union
    -- a build of an earlier date does not know of these lists
    select published.member_id
    from published
    cross join step
    where published.week_start > step.as_of_date + 1
)

select * from final
where not (select is_full from {{ ref('int_release__step') }})
