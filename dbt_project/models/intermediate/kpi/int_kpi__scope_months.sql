-- Grain: one row per calendar month whose figures of the 365 days before its end may differ from the highest published
-- release: it is over now, or was then.
with step as (
    select * from {{ ref('int_release__step') }}
),

months as (
    select
        month::date as month_start,
        (month + interval '1 month')::date - 1 as last_day
    from {{ ref('reporting_period') }} as reporting
    cross join step
    cross join
        generate_series(
            date_trunc('month', reporting.observed_from::timestamp), step.to_date::timestamp, interval '1 month'
        ) as month
    where not step.is_full
),

gaps as (
    {{ changes('int_members__gaps', ['business_date']) }}
),

-- a purchase day that came back later is missed in what is told of its months' gaps
gap_days as (
    select distinct business_date from gaps
),

final as (
    select months.month_start
    from months
    where
        months.last_day in (select touched.day from {{ ref('int_kpi__touched_days') }} as touched)
        or exists (select 1 from {{ ref('int_kpi__changed_stores') }})
        or exists (
            select 1 from gap_days
            where
                gap_days.business_date <= months.last_day
                and gap_days.business_date > months.last_day - {{ lifecycle_parameter('window_days') }}::integer
        )
)

select * from final
