-- Grain: one row per week and member whose standing changed in it: where it stood at opening and at close, and how it
-- left the members who bought within a year, if it did.
with weeks as (
    select * from {{ ref('week_close') }}
    where {{ in_scope('week_start', 'int_kpi__scope_weeks') }}
),

moves as (
    select
        week.week_start,
        moves.*,
        moves.after_is_closed and (moves.before_is_closed is distinct from true) as is_closing,
        moves.after_is_lapsed and (moves.before_is_lapsed is distinct from true) as is_lapsing
    from {{ ref('int_kpi__moves') }} as moves
    inner join weeks as week
        on date_trunc('week', moves.moved_on::timestamp)::date = week.week_start and moves.moved_on <= week.closing_on
    where
        moves.moved_on >= (select min(week_start) from weeks)
        and moves.moved_on <= (select max(closing_on) from weeks)
),

by_member as (
    select
        week_start,
        member_id,
        (array_agg(before_stage_code order by moved_on))[1] as opening_stage_code,
        (array_agg(before_store_id order by moved_on))[1] as opening_store_id,
        (array_agg(after_stage_code order by moved_on desc))[1] as closing_stage_code,
        (array_agg(after_store_id order by moved_on desc))[1] as closing_store_id,
        bool_or(is_enrolment) as is_new,
        min(moved_on) filter (where is_closing) as closed_on,
        min(moved_on) filter (where is_lapsing) as lapsed_on
    from moves
    group by week_start, member_id
),

final as (
    select
        week_start,
        member_id,
        opening_stage_code,
        opening_store_id,
        closing_stage_code,
        closing_store_id,
        is_new,
        -- by the first of the two; on the same day by closing
        case
            when {{ is_churn_base_stage('opening_stage_code') }}
                then case
                    when closed_on <= coalesce(lapsed_on, closed_on) then 'closed'
                    when lapsed_on is not null then 'lapse'
                end
        end as churned_by
    from by_member
)

select * from final
