-- Grain: one row per week of which some figure may differ from the highest published release: counts of members, sales,
-- or whether it is complete.
with step as (
    select * from {{ ref('int_release__step') }}
),

weeks as (
    select * from {{ ref('week_close') }}
),

sales as (
    {{ changes('int_receipts__store_days', ['business_date']) }}
),

-- a region, a store or the first day of all concerns every week
stores as (
    {{ changes('dim_store', ['store_id', 'region']) }}
),

moved_stores as (
    select
        store_id,
        region
    from stores
    group by store_id, region
    having count(*) = 1
),

periods as (
    {{ changes('reporting_period', ['observed_from']) }}
),

first_days as (
    select observed_from from periods
    group by observed_from
    having count(*) = 1
),

published as (
    {{ published_rows('kpi_weekly', {
        'week_start': 'date', 'level': 'text', 'level_id': 'text', 'is_complete': 'boolean'
    }) }}
),

coverage as (
    select * from {{ ref('int_kpi__week_coverage') }}
),

found as (
    select week_start from {{ ref('int_kpi__touched_weeks') }}
    union
    select distinct date_trunc('week', business_date)::date as week_start from sales
    union
    select weeks.week_start
    from weeks
    where exists (select 1 from moved_stores) or exists (select 1 from first_days)
    union
    select published.week_start
    from published
    inner join weeks on published.week_start = weeks.week_start
    left join coverage on published.week_start = coverage.week_start and published.level_id = coverage.store_id
    where
        published.level = 'store'
        and published.is_complete <> (weeks.days_elapsed = 7 and coalesce(coverage.is_covered, true))
),

final as (
    select week_start from found
    where not (select is_full from step)
)

select * from final
