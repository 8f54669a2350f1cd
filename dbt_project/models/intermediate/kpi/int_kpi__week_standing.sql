-- Grain: one row per week, service store, tier and stage: members at the week's close. The week before the first one is
-- here too: where members stood when it began.
{{ config(
    unique_key=['week_start', 'store_id', 'tier', 'stage_code'],
    scope={'columns': ['week_start'], 'relation': 'int_kpi__touched_weeks'},
) }}

with all_weeks as (
    select
        week_start,
        closing_on
    from {{ ref('week_close') }}
    union all
    select
        min(week_start) - 7,
        min(week_start) - 1
    from {{ ref('week_close') }}
),

weeks as (
    select * from all_weeks
    where {{ in_scope('week_start', 'int_kpi__touched_weeks') }}
),

first_week as (
    select
        min(weeks.week_start) as week_start,
        min(weeks.week_start) = (select min(all_weeks.week_start) from all_weeks) as is_very_first
    from weeks
),

moves as (
    select
        week.week_start,
        moves.*
    from {{ ref('int_kpi__moves') }} as moves
    inner join weeks as week
        on date_trunc('week', moves.moved_on::timestamp)::date = week.week_start and moves.moved_on <= week.closing_on
    where
        moves.moved_on >= (select week_start from first_week)
        and moves.moved_on <= (select max(closing_on) from weeks)
    union all
    -- all that was before
    select
        first_week.week_start,
        moves.*
    from {{ ref('int_kpi__moves') }} as moves
    inner join first_week on moves.moved_on < first_week.week_start
    where first_week.is_very_first
),

flows as (
    select
        moves.week_start,
        side.store_id,
        side.tier,
        side.stage_code,
        side.members
    from moves
    cross join
        lateral (
            values
            (moves.before_store_id, moves.before_tier, moves.before_stage_code, -1),
            (moves.after_store_id, moves.after_tier, moves.after_stage_code, 1)
        ) as side (store_id, tier, stage_code, members)
    where side.stage_code is not null
    {% if not is_full_build() -%}
    union all
    -- where members stood when the first of these weeks began
    select
        first_week.week_start,
        published.store_id,
        published.tier,
        published.stage_code,
        published.members
    from first_week
    inner join ({{ published_rows('int_kpi__week_standing', {
        'week_start': 'date', 'store_id': 'text', 'tier': 'text', 'stage_code': 'text', 'members': 'integer',
    }) }}) as published on first_week.week_start - 7 = published.week_start
    where not first_week.is_very_first
    {%- endif %}
),

net_flows as (
    select
        week_start,
        store_id,
        tier,
        stage_code,
        sum(members) as members
    from flows
    group by week_start, store_id, tier, stage_code
),

standings as (
    select distinct
        store_id,
        tier,
        stage_code
    from net_flows
),

running as (
    select
        weeks.week_start,
        standings.store_id,
        standings.tier,
        standings.stage_code,
        sum(net_flows.members) over (
            partition by standings.store_id, standings.tier, standings.stage_code
            order by weeks.week_start
        ) as members
    from weeks
    cross join standings
    left join net_flows
        on
            weeks.week_start = net_flows.week_start
            and standings.store_id = net_flows.store_id
            and standings.tier = net_flows.tier
            and standings.stage_code = net_flows.stage_code
),

final as (
    select
        week_start,
        store_id,
        tier,
        stage_code,
        members::integer as members
    from running
    where members <> 0
)

select * from final
