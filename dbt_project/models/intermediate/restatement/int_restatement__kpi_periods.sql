-- Grain: one row per kind of longer period, period, level (store, region, hq), its id and set of columns of the KPI
-- tables to which something restated contributes otherwise than before, cause and batch: whatever restates a week that
-- shares a day with it.
with weeks as (
    select * from {{ ref('int_restatement__kpi') }}
),

kinds as (
    select period_type
    from unnest(array['month', 'quarter', 'year']) as period_type
),

-- a week lies in one period of a kind, or in two
periods as (
    select distinct
        weeks.week_start,
        kinds.period_type,
        date_trunc(kinds.period_type, edge.day)::date as period_start
    from (select distinct week_start from weeks) as weeks
    cross join kinds
    cross join
        lateral (values (weeks.week_start::timestamp), (weeks.week_start::timestamp + interval '6 days')) as edge (day)
),

final as (
    select distinct
        periods.period_type,
        periods.period_start,
        weeks.level,
        weeks.level_id,
        weeks.column_names,
        weeks.cause,
        weeks.batch_id
    from weeks
    inner join periods on weeks.week_start = periods.week_start
)

select * from final
