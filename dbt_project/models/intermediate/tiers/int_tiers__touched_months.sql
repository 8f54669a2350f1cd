-- Grain: one row per month in which members may have been in other tiers than the highest published release says: from
-- the first week of which counts of members may differ, or the first day of all if it is another one, to the last one.
with weeks as (
    select
        least(
            (select min(week_start) from {{ ref('int_kpi__touched_weeks') }}),
            (select earlier from {{ ref('int_release__moved_first_day') }})
        ) as first_week
),

final as (
    select month::date as month_start
    from weeks
    cross join {{ ref('int_release__step') }} as step
    cross join generate_series(
        date_trunc('month', weeks.first_week::timestamp),
        date_trunc('month', step.to_date::timestamp),
        interval '1 month'
    ) as month
)

select * from final
