-- Grain: one row per member whose net sales of the 365 days up to the as-of date may differ from the highest published
-- release: days of it changed, or the step to the as-of date takes days out of the 365 (or back into them).
{{ config(indexes=[{'columns': ['member_id']}]) }}

with step as (
    select * from {{ ref('int_release__step') }}
),

found as (
    select member_id from ({{ changes('int_members__days', ['member_id']) }}) as changed
    union
    select days.member_id
    from step
    inner join {{ ref('int_members__days') }} as days
        on step.from_date - 365 < days.business_date and step.to_date - 365 >= days.business_date
),

final as (
    select member_id from found
    where not (select is_full from step)
)

select * from final
