-- Grain: one row per month in which members may have been in other tiers than the highest published release says: from
-- the first week of which counts of members may differ, to the last one.
with weeks as (
    select min(week_start) as first_week from {{ ref('int_kpi__touched_weeks') }}
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
