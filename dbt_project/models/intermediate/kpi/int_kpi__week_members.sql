-- Grain: one row per week and member known by its close: where the member stood at opening and at close.
with weeks as (
    select * from {{ ref('week_close') }}
),

members as (
    select * from {{ ref('dim_member') }}
),

stages as (
    select * from {{ ref('member_stage_snapshot') }}
),

opening as (
    select
        weeks.week_start,
        history.member_id,
        history.stage_code
    from weeks
    inner join {{ ref('member_stage_history') }} as history
        on weeks.opening_on >= history.valid_from and weeks.opening_on < history.valid_to
),

-- figures of the close: each stretch of equal figures holds for the week closes that lie in it
closing_figures as (
    select
        states.member_id,
        weeks.week_start,
        states.purchase_days_365
    from {{ ref('int_lifecycle__states') }} as states
    cross join
        lateral generate_series(
            date_trunc('week', states.valid_from::timestamp),
            date_trunc(
                'week',
                least(states.valid_to, (select as_of_date + 1 from {{ source('release', 'building') }}))::timestamp
            ),
            interval '7 days'
        ) as week
    inner join weeks
        on
            week::date = weeks.week_start
            and states.valid_from <= weeks.closing_on
            and states.valid_to > weeks.closing_on
    where states.valid_from <= (select as_of_date from {{ source('release', 'building') }})
),

purchasers as (
    select distinct
        weeks.week_start,
        days.member_id
    from {{ ref('int_lifecycle__purchase_days') }} as days
    -- what came back later was still a purchase at that close
    inner join weeks
        on days.purchased_on between weeks.week_start and weeks.closing_on and days.until_on > weeks.closing_on
),

lapsed as (
    select
        weeks.week_start,
        history.member_id,
        min(history.valid_from) as lapsed_on
    from {{ ref('member_stage_history') }} as history
    inner join weeks on history.valid_from between weeks.week_start and weeks.closing_on
    where history.stage_code = 'S10'
    group by weeks.week_start, history.member_id
),

closed as (
    select distinct
        weeks.week_start,
        flags.member_id
    from {{ ref('int_members__flag_periods') }} as flags
    inner join weeks on flags.flagged_from between weeks.week_start and weeks.closing_on
    where flags.flag = 'closed'
),

final as (
    select
        stages.week_start,
        stages.member_id,
        stages.store_id,
        opening.stage_code as opening_stage_code,
        stages.stage_code as closing_stage_code,
        coalesce(members.enrolled_on between stages.week_start and stages.snapshot_on, false) as is_new,
        coalesce({{ is_valid_stage('opening.stage_code') }}, false) as was_valid_at_opening,
        {{ is_valid_stage('stages.stage_code') }} as is_valid_at_close,
        -- base of churn: bought within the last year, at opening
        coalesce(opening.stage_code in ('S03', 'S04', 'S05', 'S06', 'S07', 'S08', 'S09'), false) as is_churn_base,
        lapsed.member_id is not null as has_lapsed,
        closed.member_id is not null as has_closed,
        closing_figures.purchase_days_365,
        purchasers.member_id is not null as has_purchased
    from stages
    inner join members on stages.member_id = members.member_id
    left join opening on stages.week_start = opening.week_start and stages.member_id = opening.member_id
    left join closing_figures
        on stages.week_start = closing_figures.week_start and stages.member_id = closing_figures.member_id
    left join purchasers on stages.week_start = purchasers.week_start and stages.member_id = purchasers.member_id
    left join lapsed on stages.week_start = lapsed.week_start and stages.member_id = lapsed.member_id
    left join closed on stages.week_start = closed.week_start and stages.member_id = closed.member_id
)

select * from final
