-- Grain: one row per kind of period and period of which some figure may differ from the highest published release: all
-- that share a day with a week of which one may.
with weeks as (
    select
        week_start,
        week_start + 6 as last_day
    from {{ ref('int_kpi__scope_weeks') }}
),

kinds as (
    select period_type
    from unnest(array['week', 'month', 'quarter', 'year']) as period_type
),

final as (
    select distinct
        kinds.period_type,
        date_trunc(kinds.period_type, edge.day)::date as period_start
    from weeks
    cross join kinds
    cross join lateral (values (weeks.week_start::timestamp), (weeks.last_day::timestamp)) as edge (day)
)

select * from final
