-- Grain: one row per week whose compass may differ from the highest published release: from the first week of which a
-- figure does on, because a quarter and the year before are looked back on.
with step as (
    select * from {{ ref('int_release__step') }}
),

weeks as (
    select week_start from ({{ changes('kpi_weekly', ['week_start', 'level']) }}) as kpis
    where level = 'store'
    union all
    select cohort_week + 91 from ({{ changes('second_purchase_90d', ['cohort_week']) }}) as cohorts
    union all
    select week_start + 14 from ({{ changes('contact_balance_weekly', ['week_start']) }}) as contacts
    union all
    select date_trunc('week', enrolled_on)::date from ({{ changes('fct_enrolment', ['enrolled_on']) }}) as enrolments
    union all
    select date_trunc('week', fed.business_date)::date
    from ({{ changed_rows('pos', 'footfall', ['fed.business_date']) }}) as fed
    union all
    select week_start from ({{ changes('target_decomposition', ['week_start']) }}) as targets
    union all
    -- another format, region or opening: all weeks
    select reporting.observed_from
    from ({{ changes('dim_store', ['store_id', 'region', 'format', 'opened_on', 'first_sale_on']) }}) as stores
    cross join {{ ref('reporting_period') }} as reporting
    union all
    select reporting.observed_from
    from ({{ changed_rows('reference', 'store_closures', ['fed.store_id']) }}) as closures
    cross join {{ ref('reporting_period') }} as reporting
    union all
    select date_trunc('week', step.from_date)::date from step
),

final as (
    select week::date as week_start
    from step
    cross join
        lateral generate_series(
            (select date_trunc('week', min(weeks.week_start)) from weeks),
            step.to_date::timestamp,
            interval '7 days'
        ) as week
    where not step.is_full
)

select * from final
