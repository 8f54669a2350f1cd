-- Grain: one row per week, stage at opening and stage at close. NEW: not yet a member at opening.
{{ config(
    unique_key=['week_start', 'from_stage', 'to_stage'],
    scope={'columns': ['week_start'], 'relation': 'int_kpi__scope_weeks'},
) }}

with weeks as (
    select * from {{ ref('week_close') }}
    where {{ in_scope('week_start', 'int_kpi__scope_weeks') }}
),

moved as (
    select
        week_start,
        coalesce(opening_stage_code, 'NEW') as from_stage,
        closing_stage_code as to_stage,
        count(*) as members
    from {{ ref('int_kpi__week_members') }}
    group by week_start, coalesce(opening_stage_code, 'NEW'), closing_stage_code
),

-- whoever did not move is where the week began
stayed as (
    select
        weeks.week_start,
        standing.stage_code,
        sum(standing.members) as members
    from weeks
    inner join {{ ref('int_kpi__week_standing') }} as standing on weeks.week_start - 7 = standing.week_start
    group by weeks.week_start, standing.stage_code
    union all
    select
        week_start,
        from_stage,
        -sum(members)
    from moved
    where from_stage <> 'NEW'
    group by week_start, from_stage
),

moves as (
    select
        week_start,
        from_stage,
        to_stage,
        members
    from moved
    union all
    select
        week_start,
        stage_code as from_stage,
        stage_code as to_stage,
        members
    from stayed
),

final as (
    select
        week_start,
        from_stage,
        to_stage,
        sum(members)::integer as members
    from moves
    group by week_start, from_stage, to_stage
    having sum(members) <> 0
)

select * from final
