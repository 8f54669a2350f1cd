-- Grain: one row per kind of period (week, month, quarter, year) and period from the one of the first business date to
-- the one of the as-of date, with the days between which it is measured.
with reporting as (
    select * from {{ ref('reporting_period') }}
),

kinds as (
    select * from {{ ref('int_kpi__period_types') }}
),

periods as (
    select
        kinds.period_type,
        start::date as period_start,
        (start + kinds.length)::date - 1 as last_day,
        reporting.as_of_date
    from reporting
    cross join kinds
    cross join
        generate_series(
            date_trunc(kinds.period_type, reporting.observed_from::timestamp),
            reporting.as_of_date::timestamp,
            kinds.length
        ) as start
),

final as (
    select
        period_type,
        period_start,
        last_day,
        period_start - 1 as opening_on,
        least(last_day, as_of_date) as closing_on,
        least(last_day, as_of_date) - period_start + 1 as days_elapsed,
        last_day <= as_of_date as is_over
    from periods
)

select * from final
