-- Grain: one row per week of reactivations of which the figures may differ from the highest published release: one of
-- its members came back or bought otherwise, or its 90 days ended since.
with step as (
    select * from {{ ref('int_release__step') }}
),

reactivations as (
    {{ changes('int_kpi__reactivations', ['entered_on']) }}
),

final as (
    select date_trunc('week', entered_on)::date as cohort_week from reactivations
    union
    select week::date as cohort_week
    from step
    cross join
        generate_series(
            date_trunc('week', (step.from_date - 96)::timestamp), (step.to_date - 96)::timestamp, interval '7 days'
        ) as week
    where not step.is_full
)

select * from final
