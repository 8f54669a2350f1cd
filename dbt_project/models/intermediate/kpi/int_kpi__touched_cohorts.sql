-- Grain: one row per month of first purchase, counted month and whether its members are looked at anew, of which the
-- figures may differ from the highest published release: those of a month in which members bought otherwise, and all of
-- a cohort to which members came or from which they went.
with months as (
    {{ changes('int_members__months', ['month_start']) }}
),

members as (
    {{ changes('dim_member', ['member_id', 'first_purchase_on', 'is_in_cohorts']) }}
),

moved as (
    select
        member_id,
        date_trunc('month', first_purchase_on)::date as cohort_month
    from members
    where is_in_cohorts and first_purchase_on is not null
    group by member_id, date_trunc('month', first_purchase_on)
    having count(*) = 1
),

step as (
    select * from {{ ref('int_release__step') }}
),

calendar as (
    select month::date as month_start
    from {{ ref('reporting_period') }} as reporting
    cross join step
    cross join
        generate_series(
            date_trunc('month', reporting.observed_from::timestamp), step.to_date::timestamp, interval '1 month'
        ) as month
),

touched_months as (
    select month_start from months
    union
    -- months that began or ended since, whether anybody bought in them or not
    select calendar.month_start
    from calendar
    inner join step on calendar.month_start >= date_trunc('month', step.from_date::timestamp)
),

final as (
    select
        cohorts.month_start as cohort_month,
        counted.month_start as active_month
    from calendar as cohorts
    inner join calendar as counted on cohorts.month_start <= counted.month_start
    where
        not (select step.is_full from step)
        and (
            counted.month_start in (select touched_months.month_start from touched_months)
            or cohorts.month_start in (select moved.cohort_month from moved)
        )
)

select * from final
