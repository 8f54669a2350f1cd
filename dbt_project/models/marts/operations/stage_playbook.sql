-- Grain: one row per stage and role whose play is valid on the as-of date.
{{ config(unique_key=['stage_code', 'role']) }}

with building as (
    select as_of_date from {{ source('release', 'building') }}
),

final as (
    select
        playbook.stage_code,
        playbook.role,
        playbook.goal_en,
        playbook.goal_zh,
        playbook.action_en,
        playbook.action_zh,
        playbook.template_scene,
        playbook.days_to_act,
        playbook.rationale,
        playbook.valid_from
    from {{ ref('stage_plays') }} as playbook
    cross join building
    where playbook.valid_from <= building.as_of_date and playbook.valid_to > building.as_of_date
)

select * from final
