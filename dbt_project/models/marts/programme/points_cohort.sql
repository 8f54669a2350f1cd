-- Grain: one row per calendar month in which points were given: what became of them by the as-of date.
{{ config(unique_key=['cohort_month'], fed_by=['app__points_entries']) }}

with lots as (
    select
        date_trunc('month', earned_on)::date as cohort_month,
        earned_on,
        sum(earned_points - reversed_points) as issued_points,
        sum(redeemed_points) as redeemed_points,
        sum(expired_points) as expired_points,
        sum(deducted_points) as deducted_points,
        sum(open_points) as open_points
    from {{ ref('points_lot') }}
    where earned_on is not null
    group by earned_on
),

cohorts as (
    select
        lots.cohort_month,
        sum(lots.issued_points)::bigint as issued_points,
        sum(lots.redeemed_points)::bigint as redeemed_points,
        sum(lots.expired_points)::bigint as expired_points,
        sum(lots.deducted_points)::bigint as deducted_points,
        sum(lots.open_points)::bigint as open_points,
        sum(lots.open_points * rules.unit_cost * (1 - rules.breakage_rate))::numeric(14, 2) as liability_amount,
        sum(lots.issued_points * rules.unit_cost * (1 - rules.breakage_rate))::numeric(14, 2) as cost_amount
    from lots
    inner join {{ ref('points_rule') }} as rules
        on lots.earned_on >= rules.valid_from and lots.earned_on < rules.valid_to
    group by lots.cohort_month
),

months as (
    select
        period_start,
        net_sales_member_amount
    from {{ ref('kpi_monthly') }}
    where level = 'hq'
),

final as (
    select
        cohorts.cohort_month,
        cohorts.issued_points,
        cohorts.redeemed_points,
        cohorts.expired_points,
        cohorts.deducted_points,
        cohorts.open_points,
        cohorts.liability_amount,
        cohorts.cost_amount,
        months.net_sales_member_amount,
        {{ rate('cohorts.redeemed_points', 'cohorts.issued_points') }} as redemption_rate,
        {{ rate('cohorts.cost_amount', 'months.net_sales_member_amount') }} as cost_ratio
    from cohorts
    left join months on cohorts.cohort_month = months.period_start
)

select * from final
