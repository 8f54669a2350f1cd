-- Grain: one row per month that is over, level (store, region, hq) and its id: how long members take to buy again.
-- Gaps are told of whoever is valid at the month's end, in the store that looks after them then.
{{ config(
    unique_key=['month_start', 'level', 'level_id'],
    scope={'columns': ['month_start'], 'relation': 'int_kpi__scope_months'},
    may_be_empty=true,
) }}

with months as (
    select
        period_start as month_start,
        closing_on
    from {{ ref('int_kpi__periods') }}
    where period_type = 'month' and is_over and {{ in_scope('period_start', 'int_kpi__scope_months', ['month_start']) }}
),

gaps as (
    select
        months.month_start,
        months.closing_on,
        gaps.*
    from months
    inner join {{ ref('int_members__gaps') }} as gaps
        on
            months.closing_on >= gaps.business_date
            and gaps.business_date > months.closing_on - {{ lifecycle_parameter('window_days') }}::integer
),

days as (
    select
        gaps.month_start,
        buyers.store_id,
        gaps.business_date - gaps.previous_on as gap_days,
        coalesce(later.business_date, gaps.closing_on) - gaps.business_date as waited_days,
        later.business_date is not null as has_bought_again
    from gaps
    inner join {{ ref('int_kpi__month_buyers') }} as buyers
        on gaps.month_start = buyers.month_start and gaps.member_id = buyers.member_id
    left join gaps as later
        on
            gaps.month_start = later.month_start
            and gaps.member_id = later.member_id
            and gaps.business_date = later.previous_on
),

placed as (
    select
        days.month_start,
        place.level,
        place.level_id,
        days.gap_days,
        days.waited_days,
        days.has_bought_again
    from days
    inner join {{ ref('dim_store') }} as stores on days.store_id = stores.store_id
    cross join
        lateral (values ('store', stores.store_id), ('region', stores.region), ('hq', 'hq')) as place (level, level_id)
),

quartiles as (
    select
        month_start,
        level,
        level_id,
        count(gap_days) as gaps,
        percentile_cont(array[0.25, 0.5, 0.75]) within group (order by gap_days) as days
    from placed
    group by month_start, level, level_id
),

-- Kaplan and Meier: those who did not buy again yet have waited at least that long
by_wait as (
    select
        month_start,
        level,
        level_id,
        waited_days,
        count(*) filter (where has_bought_again) as events,
        (sum(count(*)) over (
            partition by month_start, level, level_id order by waited_days desc
        ))::double precision as at_risk
    from placed
    group by month_start, level, level_id, waited_days
),

survival as (
    select
        month_start,
        level,
        level_id,
        waited_days,
        -- a product; whoever all bought again at the last of the waits leaves nobody
        case
            when bool_or(events = at_risk) over by_wait then 0
            else exp(sum(ln(1 - nullif(events, at_risk)::double precision / at_risk)) over by_wait)
        end as share_waiting
    from by_wait
    window by_wait as (partition by month_start, level, level_id order by waited_days)
),

medians as (
    select
        month_start,
        level,
        level_id,
        min(waited_days) filter (where share_waiting <= 0.5 + 1e-9) as km_median_days
    from survival
    group by month_start, level, level_id
),

final as (
    select
        quartiles.month_start,
        quartiles.level,
        quartiles.level_id,
        quartiles.gaps::integer as gaps,
        quartiles.days[1]::numeric(8, 1) as p25_days,
        quartiles.days[2]::numeric(8, 1) as median_days,
        quartiles.days[3]::numeric(8, 1) as p75_days,
        medians.km_median_days
    from quartiles
    inner join medians
        on
            quartiles.month_start = medians.month_start
            and quartiles.level = medians.level
            and quartiles.level_id = medians.level_id
)

select * from final
