-- Grain: one row per week, stage at opening and stage at close. NEW: not yet a member at opening.
{{ config(unique_key=['week_start', 'from_stage', 'to_stage']) }}

with snapshot as (
    select * from {{ ref('member_stage_snapshot') }}
),

final as (
    select
        closing.week_start,
        coalesce(opening.stage_code, 'NEW') as from_stage,
        closing.stage_code as to_stage,
        count(*)::integer as members
    from snapshot as closing
    left join snapshot as opening
        on closing.member_id = opening.member_id and closing.week_start = opening.week_start + 7
    group by closing.week_start, coalesce(opening.stage_code, 'NEW'), closing.stage_code
)

select * from final
