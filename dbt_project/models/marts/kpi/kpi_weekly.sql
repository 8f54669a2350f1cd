-- Grain: one row per week, level (store, region, hq) and its id.
-- Money counts by selling store; members by service store at the row's close. Both add up over stores.
{{ config(
    unique_key=['week_start', 'level', 'level_id'],
    scope={'columns': ['week_start'], 'relation': 'int_kpi__scope_weeks'},
) }}

with weeks as (
    select * from {{ ref('week_close') }}
    where {{ in_scope('week_start', 'int_kpi__scope_weeks') }}
),

stores as (
    select * from {{ ref('dim_store') }}
),

first_day as (
    select observed_from from {{ ref('reporting_period') }}
),

members as (
    select * from {{ ref('int_kpi__week_store_members') }}
),

by_store as (
    select
        weeks.week_start,
        weeks.closing_on,
        weeks.days_elapsed,
        stores.store_id,
        stores.region,
        weeks.days_elapsed = 7 and coalesce(coverage.is_covered, true) as is_complete,
        coalesce(members.opening_members, 0) as opening_members,
        coalesce(members.new_members, 0) as new_members,
        coalesce(members.closing_members, 0) as closing_members,
        coalesce(members.churn_base, 0) as churn_base,
        coalesce(members.churned_lapse, 0) as churned_lapse,
        coalesce(members.churned_closed, 0) as churned_closed,
        coalesce(members.purchasers_365, 0) as purchasers_365,
        coalesce(members.repeat_purchasers_365, 0) as repeat_purchasers_365,
        coalesce(members.purchasing_members, 0) as purchasing_members,
        coalesce(members.active_members, 0) as active_members,
        coalesce(sales.sale_receipts, 0) as sale_receipts,
        coalesce(sales.sale_receipts_member, 0) as sale_receipts_member,
        coalesce(sales.sale_net_amount, 0) as sale_net_amount,
        coalesce(sales.sale_net_amount_member, 0) as sale_net_amount_member,
        coalesce(sales.net_sales_amount, 0) as net_sales_amount,
        coalesce(sales.net_sales_member_amount, 0) as net_sales_member_amount
    from weeks
    cross join stores
    left join {{ ref('int_kpi__week_coverage') }} as coverage
        on weeks.week_start = coverage.week_start and stores.store_id = coverage.store_id
    left join members on weeks.week_start = members.week_start and stores.store_id = members.store_id
    left join {{ ref('int_kpi__week_sales') }} as sales
        on weeks.week_start = sales.week_start and stores.store_id = sales.store_id
),

by_level as (
    select
        week_start,
        closing_on,
        days_elapsed,
        case
            when grouping(store_id) = 0 then 'store'
            when grouping(region) = 0 then 'region'
            else 'hq'
        end as level,
        case
            when grouping(store_id) = 0 then store_id
            when grouping(region) = 0 then region
            else 'hq'
        end as level_id,
        bool_and(is_complete) as is_complete,
        sum(opening_members)::bigint as opening_members,
        sum(new_members)::bigint as new_members,
        sum(closing_members)::bigint as closing_members,
        sum(churn_base)::bigint as churn_base,
        sum(churned_lapse)::bigint as churned_lapse,
        sum(churned_closed)::bigint as churned_closed,
        sum(purchasers_365)::bigint as purchasers_365,
        sum(repeat_purchasers_365)::bigint as repeat_purchasers_365,
        sum(purchasing_members)::bigint as purchasing_members,
        sum(active_members)::bigint as active_members,
        sum(sale_receipts)::bigint as sale_receipts,
        sum(sale_receipts_member)::bigint as sale_receipts_member,
        sum(sale_net_amount)::numeric(14, 2) as sale_net_amount,
        sum(sale_net_amount_member)::numeric(14, 2) as sale_net_amount_member,
        sum(net_sales_amount)::numeric(14, 2) as net_sales_amount,
        sum(net_sales_member_amount)::numeric(14, 2) as net_sales_member_amount
    from by_store
    group by
        grouping sets (
            (week_start, closing_on, days_elapsed, store_id),
            (week_start, closing_on, days_elapsed, region),
            (week_start, closing_on, days_elapsed)
        )
),

-- a lapse takes a year to be seen: with less history its count would be a 0 that means nothing
observed as (
    select
        by_level.*,
        by_level.closing_on - first_day.observed_from as observed_days,
        by_level.closing_on - first_day.observed_from >= {{ lifecycle_parameter('window_days') }} as sees_lapses
    from by_level
    cross join first_day
),

final as (
    select
        week_start,
        week_start as period_start,
        level,
        level_id,
        opening_members,
        new_members,
        closing_members,
        churn_base,
        case when sees_lapses then churned_lapse end as churned_lapse,
        churned_closed,
        null::bigint as churn_base_12m,
        null::bigint as churned_12m,
        purchasers_365,
        repeat_purchasers_365,
        sale_receipts,
        sale_receipts_member,
        sale_net_amount,
        sale_net_amount_member,
        net_sales_amount,
        net_sales_member_amount,
        purchasing_members,
        active_members,
        closing_members as valid_members,
        null::bigint as engaged_members_30,
        days_elapsed,
        is_complete,
        'files'::text as completeness_basis,
        (new_members / nullif(opening_members, 0)::numeric)::numeric(9, 6) as growth_rate,
        case
            when sees_lapses
                then ((churned_lapse + churned_closed) / nullif(churn_base, 0)::numeric)::numeric(9, 6)
        end as churn_rate,
        (repeat_purchasers_365 / nullif(purchasers_365, 0)::numeric)::numeric(9, 6) as repurchase_rate,
        (sale_net_amount / nullif(sale_receipts, 0))::numeric(14, 2) as average_ticket_amount,
        (sale_net_amount_member / nullif(sale_receipts_member, 0))::numeric(14, 2) as average_ticket_member_amount,
        (active_members / nullif(closing_members, 0)::numeric)::numeric(9, 6) as activity_rate,
        concat_ws(
            '; ',
            case when not sees_lapses then 'churn: not observable yet' end,
            case
                when observed_days < 2 * {{ lifecycle_parameter('window_days') }}
                    then 'churn over 12 months: not observable yet'
                else 'churn over 12 months: not computed'
            end,
            'engaged members: not computed'
        ) as caveats
    from observed
)

select * from final
