-- Grain: one row per week and member whose standing changed in it: its stage at opening and at close.
with weeks as (
    select * from {{ ref('week_close') }}
    where {{ in_scope('week_start', 'int_kpi__scope_weeks') }}
),

moves as (
    select
        week.week_start,
        moves.member_id,
        moves.moved_on,
        moves.before_stage_code,
        moves.after_stage_code
    from {{ ref('int_kpi__moves') }} as moves
    inner join weeks as week
        on date_trunc('week', moves.moved_on::timestamp)::date = week.week_start and moves.moved_on <= week.closing_on
    where
        moves.moved_on >= (select min(week_start) from weeks)
        and moves.moved_on <= (select max(closing_on) from weeks)
),

final as (
    select
        week_start,
        member_id,
        (array_agg(before_stage_code order by moved_on))[1] as opening_stage_code,
        (array_agg(after_stage_code order by moved_on desc))[1] as closing_stage_code
    from moves
    group by week_start, member_id
)

select * from final
