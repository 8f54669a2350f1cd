-- Grain: one row per month of first purchase and month since (0: the month of the first purchase), up to the as-of
-- date's.
{{ config(
    unique_key=['cohort_month', 'month_number'],
    scope={'columns': ['cohort_month', 'active_month'], 'relation': 'int_kpi__touched_cohorts'},
    may_be_empty=true,
) }}

with reporting as (
    select * from {{ ref('reporting_period') }}
),

members as (
    select
        member_id,
        date_trunc('month', first_purchase_on)::date as cohort_month
    from {{ ref('dim_member') }}
    where is_in_cohorts and first_purchase_on is not null
),

cohorts as (
    select
        cohort_month,
        count(*) as cohort_members
    from members
    group by cohort_month
),

cells as (
    select
        cohorts.cohort_month,
        cohorts.cohort_members,
        month::date as active_month
    from cohorts
    cross join reporting
    cross join
        lateral generate_series(
            cohorts.cohort_month::timestamp, reporting.as_of_date::timestamp, interval '1 month'
        ) as month
    where {{ in_scope(['cohorts.cohort_month', 'month::date'], 'int_kpi__touched_cohorts', [
        'cohort_month', 'active_month'
    ]) }}
),

bought as (
    select
        members.cohort_month,
        months.month_start as active_month,
        count(*) filter (where months.purchase_days > 0) as active_members,
        sum(months.net_sales_amount) as net_amount
    from members
    inner join {{ ref('int_members__months') }} as months
        on members.member_id = months.member_id and members.cohort_month <= months.month_start
    where {{ in_scope(['members.cohort_month', 'months.month_start'], 'int_kpi__touched_cohorts', [
        'cohort_month', 'active_month'
    ]) }}
    group by members.cohort_month, months.month_start
),

final as (
    select
        cells.cohort_month,
        cells.active_month,
        (
            12 * (extract(year from cells.active_month) - extract(year from cells.cohort_month))
            + extract(month from cells.active_month) - extract(month from cells.cohort_month)
        )::integer as month_number,
        cells.cohort_members::integer as cohort_members,
        coalesce(bought.active_members, 0)::integer as active_members,
        coalesce(bought.net_amount, 0)::numeric(14, 2) as net_amount,
        {{ rate('coalesce(bought.active_members, 0)', 'cells.cohort_members') }} as retention_rate,
        (cells.active_month + interval '1 month')::date - 1 <= reporting.as_of_date as is_over
    from cells
    cross join reporting
    left join bought
        on cells.cohort_month = bought.cohort_month and cells.active_month = bought.active_month
)

select * from final
