-- Grain: one row per level (store, hq), its id, metric, kind of period, period and revision of a target, and week that
-- shares a day with the period: its part of the target, by the same weekdays of the year before. The weeks of what adds
-- up over days add up to the target to the unit.
{{ config(
    unique_key=['level', 'level_id', 'metric', 'period_type', 'period_start', 'revision', 'week_start'],
    scope={'columns': ['period_type', 'period_start'], 'relation': 'int_kpi__touched_targets'},
    lookups=[['week_start']],
    fed_by=['reference__targets'],
    may_be_empty=true,
) }}
-- depends_on: {{ ref('int_kpi__touched_targets') }}
{%- set target = ['level', 'level_id', 'metric', 'period_type', 'period_start', 'revision'] %}

with reporting as (
    select * from {{ ref('reporting_period') }}
),

targets as (
    select
        case when targets.store_id is null then 'hq' else 'store' end as level,
        coalesce(targets.store_id, 'hq') as level_id,
        targets.metric,
        targets.period_type,
        targets.period_start,
        targets.revision,
        targets.delivered_on,
        targets.value as parent_value,
        metrics.measured_by,
        metrics.kind,
        metrics.unit,
        (targets.period_start + kinds.length)::date - 1 as last_day
    from {{ ref('stg_reference__targets') }} as targets
    inner join {{ ref('target_metrics') }} as metrics
        on targets.metric = metrics.metric and (metrics.kind <> 'period' or targets.period_type = 'week')
    inner join {{ ref('int_kpi__period_types') }} as kinds on targets.period_type = kinds.period_type
    where {{ in_scope(['targets.period_type', 'targets.period_start'], 'int_kpi__touched_targets') }}
),

sales as (
    select
        'store' as level,
        store_id as level_id,
        business_date,
        net_sales_amount
    from {{ ref('int_receipts__store_days') }}
    where business_date >= (select min(period_start) - 364 from targets)
    union all
    select
        'hq' as level,
        'hq' as level_id,
        business_date,
        sum(net_sales_amount) as net_sales_amount
    from {{ ref('int_receipts__store_days') }}
    where business_date >= (select min(period_start) - 364 from targets)
    group by business_date
),

days as (
    select
        targets.*,
        day::date as day,
        date_trunc('week', day)::date as week_start,
        case
            when
                targets.period_start - 364 >= reporting.observed_from
                and targets.last_day - 364 <= reporting.as_of_date
                then greatest(coalesce(sales.net_sales_amount, 0), 0)
            else 0
        end as sold_amount,
        (day::date <= reporting.as_of_date)::integer as is_elapsed
    from targets
    cross join reporting
    cross join
        lateral generate_series(targets.period_start::timestamp, targets.last_day::timestamp, interval '1 day') as day
    left join sales
        on
            targets.level = sales.level
            and targets.level_id = sales.level_id
            and day::date - 364 = sales.business_date
),

-- equal days where nothing tells them apart
weighted as (
    select
        days.*,
        case when sum(sold_amount) over by_target > 0 then sold_amount else 1 end as weight,
        case when sum(sold_amount) over by_week > 0 then sold_amount else 1 end as weight_in_week
    from days
    window
        by_target as (partition by {{ target | join(', ') }}),
        by_week as (partition by {{ target | join(', ') }}, week_start)
),

weeks as (
    select
        {{ target | join(', ') }},
        delivered_on,
        parent_value,
        measured_by,
        kind,
        unit,
        week_start,
        min(day) as first_day,
        count(*) as days,
        sum(is_elapsed) as days_elapsed,
        sum(weight) as weight,
        sum(weight_in_week) as weight_in_week,
        sum(weight_in_week * is_elapsed) as elapsed_weight_in_week
    from weighted
    group by {{ target | join(', ') }}, delivered_on, parent_value, measured_by, kind, unit, week_start
),

-- whole units that each week has for sure, and what is left of its part
floored as (
    select
        weeks.*,
        sum(weight) over by_target as total_weight,
        floor(parent_value * weight / (sum(weight) over by_target * unit)) as units
    from weeks
    window by_target as (partition by {{ target | join(', ') }})
),

ranked as (
    select
        floored.*,
        parent_value - sum(units * unit) over by_target as missing_value,
        row_number() over (
            partition by {{ target | join(', ') }}
            order by parent_value * weight - units * unit * total_weight desc, week_start asc
        ) as remainder_no,
        row_number() over (partition by {{ target | join(', ') }} order by week_start desc) as week_no_from_the_end
    from floored
    window by_target as (partition by {{ target | join(', ') }})
),

-- largest remainders first; less than a unit goes to the last week
parts as (
    select
        ranked.*,
        case
            when kind <> 'flow' then parent_value
            else
                units * unit
                + case when remainder_no <= floor(missing_value / unit) then unit else 0 end
                + case
                    when week_no_from_the_end = 1 then missing_value - floor(missing_value / unit) * unit
                    else 0
                end
        end as target_value
    from ranked
),

-- a revision counts from the first day of its period in a week on that came with it or after it; before the first
-- delivery that one does
revisions as (
    select
        parts.*,
        row_number() over (
            partition by level, level_id, metric, period_type, period_start, week_start
            order by
                (delivered_on <= first_day) desc,
                case when delivered_on <= first_day then revision end desc,
                delivered_on asc,
                revision asc
        ) as precedence
    from parts
),

final as (
    select
        level,
        level_id,
        metric,
        period_type,
        period_start,
        revision,
        week_start,
        days::integer as days,
        delivered_on,
        measured_by,
        kind,
        parent_value::numeric(14, 4) as parent_value,
        target_value::numeric(14, 4) as target_value,
        case
            when days_elapsed = 0 then 0
            when kind <> 'flow' or days_elapsed = days then target_value
            else round(target_value * elapsed_weight_in_week / weight_in_week, 2)
        end::numeric(14, 4) as target_to_date,
        precedence = 1 as is_in_force
    from revisions
)

select * from final
