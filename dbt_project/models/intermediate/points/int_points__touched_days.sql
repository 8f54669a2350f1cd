-- Grain: one row per day whose points, or what is owed for them at its close, may differ from the highest published
-- release: from the first one of a changed entry or lot to the last one.
with step as (
    select * from {{ ref('int_release__step') }}
),

changed_rules as (
    {{ changes('points_rule', ['valid_from']) }}
),

changed_days as (
    select business_date as day from ({{ changes('fct_points_entry', ['business_date']) }}) as entries
    union all
    select business_date as day from ({{ changes('int_points__takings', ['business_date']) }}) as takings
    union all
    select earned_on as day from ({{ changes('points_lot', ['earned_on']) }}) as lots
    union all
    select min(business_date) as day from {{ ref('fct_points_entry') }}
    where exists (select 1 from changed_rules)
),

bounds as (
    select
        least((select min(changed_days.day) from changed_days), step.from_date + 1) as first_day,
        step.to_date
    from step
    where not step.is_full
),

final as (
    select day::date as business_date
    from bounds
    cross join generate_series(bounds.first_day::timestamp, bounds.to_date::timestamp, interval '1 day') as day
)

select * from final
