-- Grain: one row per day from the first entry of the points ledger to the as-of date.
{{ config(
    unique_key=['business_date'],
    scope={'columns': ['business_date'], 'relation': 'int_points__touched_days'},
    fed_by=['app__points_entries'],
) }}

with building as (
    select as_of_date from {{ source('release', 'building') }}
),

bounds as (
    select min(business_date) as first_day from {{ ref('fct_points_entry') }}
),

days as (
    select day::date as business_date
    from bounds
    cross join building
    cross join generate_series(bounds.first_day::timestamp, building.as_of_date::timestamp, interval '1 day') as day
    where {{ in_scope('day::date', 'int_points__touched_days', ['business_date']) }}
),

entries as (
    select
        business_date,
        coalesce(sum(points) filter (where entry_type = 'earn'), 0) as issued_points,
        coalesce(-sum(points) filter (where entry_type = 'redeem'), 0) as redeemed_points,
        coalesce(-sum(points) filter (where entry_type = 'expire'), 0) as expired_points,
        coalesce(sum(points) filter (where entry_type = 'adjust'), 0) as adjusted_points,
        coalesce(sum(points) filter (where entry_type = 'reverse'), 0) as reversed_points,
        sum(points) as points
    from {{ ref('fct_points_entry') }}
    where {{ in_scope('business_date', 'int_points__touched_days') }}
    group by business_date
),

-- what is owed is told by lot, as long as the lot has points left
movements as (
    select
        earned_on as business_date,
        earned_on,
        earned_points - reversed_points as points
    from {{ ref('points_lot') }}
    where earned_on is not null and {{ in_scope('earned_on', 'int_points__touched_days', ['business_date']) }}
    union all
    select
        business_date,
        earned_on,
        -points as points
    from {{ ref('int_points__takings') }}
    where earned_on is not null and {{ in_scope('business_date', 'int_points__touched_days') }}
),

owed as (
    select
        movements.business_date,
        sum(movements.points * rules.unit_cost * (1 - rules.breakage_rate)) as amount
    from movements
    inner join {{ ref('points_rule') }} as rules
        on movements.earned_on >= rules.valid_from and movements.earned_on < rules.valid_to
    group by movements.business_date
),

before as (
    select
        balance_points,
        exact_liability
    from ({{ published_rows('points_daily', {
        'business_date': 'date', 'balance_points': 'bigint', 'exact_liability': 'numeric'
    }) }}) as published
    where
        published.business_date = (select min(days.business_date) - 1 from days)
        and not {{ is_full_build() }}
),

running as (
    select
        days.business_date,
        coalesce(entries.issued_points, 0)::bigint as issued_points,
        coalesce(entries.redeemed_points, 0)::bigint as redeemed_points,
        coalesce(entries.expired_points, 0)::bigint as expired_points,
        coalesce(entries.adjusted_points, 0)::bigint as adjusted_points,
        coalesce(entries.reversed_points, 0)::bigint as reversed_points,
        coalesce((select before.balance_points from before), 0)
        + sum(coalesce(entries.points, 0)) over by_day as balance_points,
        coalesce((select before.exact_liability from before), 0)
        + sum(coalesce(owed.amount, 0)) over by_day as exact_liability
    from days
    left join entries on days.business_date = entries.business_date
    left join owed on days.business_date = owed.business_date
    window by_day as (order by days.business_date)
),

final as (
    select
        business_date,
        issued_points,
        redeemed_points,
        expired_points,
        adjusted_points,
        reversed_points,
        balance_points::bigint as balance_points,
        exact_liability::numeric(20, 8) as exact_liability,
        exact_liability::numeric(14, 2) as liability_amount
    from running
)

select * from final
