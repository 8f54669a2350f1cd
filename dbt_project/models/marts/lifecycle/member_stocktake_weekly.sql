-- Grain: one row per week and service store: the members at opening, everyone who came and went, and those at close.
-- Each day's change counts, so whoever left and came back within the week is in both columns.
{{ config(
    unique_key=['week_start', 'store_id'],
    scope={'columns': ['week_start'], 'relation': 'int_kpi__scope_weeks'},
) }}

with weeks as (
    select * from {{ ref('week_close') }}
    where {{ in_scope('week_start', 'int_kpi__scope_weeks') }}
),

stores as (
    select * from {{ ref('dim_store') }}
),

standing as (
    select
        week_start,
        store_id,
        sum(members) as members
    from {{ ref('int_kpi__week_standing') }}
    where
        {{ is_valid_stage('stage_code') }}
        and week_start in (
            select weeks.week_start from weeks
            union
            select weeks.week_start - 7 from weeks
        )
    group by week_start, store_id
),

moves as (
    select
        week.week_start,
        moves.movement,
        moves.before_store_id,
        moves.after_store_id
    from {{ ref('int_kpi__moves') }} as moves
    inner join weeks as week
        on date_trunc('week', moves.moved_on::timestamp)::date = week.week_start and moves.moved_on <= week.closing_on
    where
        moves.movement is not null
        and moves.moved_on >= (select min(week_start) from weeks)
        and moves.moved_on <= (select max(closing_on) from weeks)
),

counted as (
    select
        week_start,
        after_store_id as store_id,
        case movement when 'transferred' then 'transfer_in' else movement end as movement
    from moves
    where movement in ('enrolled', 'reopened', 'included', 'transferred')
    union all
    select
        week_start,
        before_store_id as store_id,
        case movement when 'transferred' then 'transfer_out' else movement end as movement
    from moves
    where movement in ('closed', 'merged', 'excluded', 'transferred')
),

movements as (
    select
        week_start,
        store_id,
        count(*) filter (where movement = 'enrolled') as enrolled,
        count(*) filter (where movement = 'reopened') as reopened,
        count(*) filter (where movement = 'included') as included,
        count(*) filter (where movement = 'transfer_in') as transfer_in,
        count(*) filter (where movement = 'closed') as closed,
        count(*) filter (where movement = 'merged') as merged,
        count(*) filter (where movement = 'excluded') as excluded,
        count(*) filter (where movement = 'transfer_out') as transfer_out
    from counted
    group by week_start, store_id
),

final as (
    select
        weeks.week_start,
        stores.store_id,
        coalesce(before.members, 0)::integer as opening,
        coalesce(movements.enrolled, 0)::integer as enrolled,
        coalesce(movements.reopened, 0)::integer as reopened,
        coalesce(movements.included, 0)::integer as included,
        coalesce(movements.transfer_in, 0)::integer as transfer_in,
        coalesce(movements.closed, 0)::integer as closed,
        coalesce(movements.merged, 0)::integer as merged,
        coalesce(movements.excluded, 0)::integer as excluded,
        coalesce(movements.transfer_out, 0)::integer as transfer_out,
        coalesce(standing.members, 0)::integer as closing
    from weeks
    cross join stores
    left join standing as before on weeks.week_start - 7 = before.week_start and stores.store_id = before.store_id
    left join standing on weeks.week_start = standing.week_start and stores.store_id = standing.store_id
    left join movements on weeks.week_start = movements.week_start and stores.store_id = movements.store_id
)

select * from final
