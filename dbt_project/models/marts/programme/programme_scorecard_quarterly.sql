-- Grain: one row per calendar quarter: what the programme is known to have brought, what it cost, and how members did.
-- What it brought is told by campaigns with a hold-out that ended in the quarter; what has none is not counted. The
-- margin is that of members' purchases of the quarter, at the unit costs of the newest product list.
{{ config(unique_key=['quarter_start']) }}
{%- set trend = ['growth_rate', 'churn_rate', 'repurchase_rate', 'average_ticket_amount', 'activity_rate'] %}

with building as (
    select as_of_date from {{ source('release', 'building') }}
),

quarters as (
    select
        period_start as quarter_start,
        {{ trend | join(',\n        ') }}
    from {{ ref('kpi_quarterly') }}
    where level = 'hq'
),

arms as (
    select
        performance.campaign_id,
        date_trunc('quarter', windows.last_day)::date as quarter_start,
        coalesce(sum(performance.members) filter (where performance.arm = 'treated'), 0) as treated,
        coalesce(sum(performance.members) filter (where performance.arm = 'hold_out'), 0) as held_out,
        sum(performance.net_amount) filter (where performance.arm = 'treated') as treated_net_amount,
        sum(performance.net_amount) filter (where performance.arm = 'hold_out') as held_out_net_amount
    from {{ ref('campaign_performance') }} as performance
    inner join {{ ref('int_campaigns__windows') }} as windows on performance.campaign_id = windows.campaign_id
    where performance.is_final
    group by performance.campaign_id, date_trunc('quarter', windows.last_day)
),

judged as (
    select
        arms.*,
        least(treated, held_out) >= {{ outreach_parameter('least_of_arm') }} as is_counted
    from arms
),

campaigns as (
    select
        quarter_start,
        (count(*) filter (where is_counted))::integer as campaigns,
        (count(*) filter (where not is_counted))::integer as campaigns_left_out,
        sum(treated_net_amount - held_out_net_amount * treated / nullif(held_out, 0)) filter (where is_counted)
            as incremental_net_amount
    from judged
    group by quarter_start
),

margins as (
    select
        date_trunc('quarter', sold.business_date)::date as quarter_start,
        sum(sold.net_amount - sold.units * products.unit_cost) / nullif(sum(sold.net_amount), 0) as margin_rate
    from {{ ref('int_receipts__product_days') }} as sold
    inner join {{ ref('stg_reference__products') }} as products on sold.sku = products.sku
    where products.unit_cost is not null
    group by date_trunc('quarter', sold.business_date)
),

points as (
    select
        date_trunc('quarter', cohort_month)::date as quarter_start,
        sum(cost_amount) as cost_amount
    from {{ ref('points_cohort') }}
    group by date_trunc('quarter', cohort_month)
),

coupons as (
    select
        date_trunc('quarter', redeemed_on)::date as quarter_start,
        coalesce(sum(face_value_amount) filter (where funding is distinct from 'brand'), 0) as cost_amount,
        coalesce(sum(face_value_amount) filter (where funding = 'brand'), 0) as funded_amount
    from {{ ref('fct_coupon') }}
    where is_redeemed
    group by date_trunc('quarter', redeemed_on)
),

benefits as (
    select
        date_trunc('quarter', uses.business_date)::date as quarter_start,
        sum(coalesce(uses.cost_amount, benefits.unit_cost, 0)) as cost_amount
    from {{ ref('fct_benefit_use') }} as uses
    left join {{ ref('int_tiers__periods') }} as tiers
        on
            uses.member_id = tiers.member_id
            and uses.business_date >= tiers.valid_from
            and uses.business_date < tiers.valid_to
            and uses.cost_amount is null
    left join {{ ref('stg_reference__benefits') }} as benefits
        on tiers.tier = benefits.tier and uses.benefit = benefits.benefit
    group by date_trunc('quarter', uses.business_date)
),

parts as (
    select
        quarters.quarter_start,
        coalesce(campaigns.campaigns, 0) as campaigns,
        coalesce(campaigns.campaigns_left_out, 0) as campaigns_left_out,
        campaigns.incremental_net_amount::numeric(14, 2) as incremental_net_amount,
        margins.margin_rate::numeric(14, 6) as margin_rate,
        (campaigns.incremental_net_amount * margins.margin_rate)::numeric(14, 2) as incremental_margin_amount,
        coalesce(points.cost_amount, 0)::numeric(14, 2) as points_cost_amount,
        coalesce(coupons.cost_amount, 0)::numeric(14, 2) as coupon_cost_amount,
        coalesce(coupons.funded_amount, 0)::numeric(14, 2) as coupon_funded_amount,
        coalesce(benefits.cost_amount, 0)::numeric(14, 2) as benefit_cost_amount,
        {% for column in trend %}
            quarters.{{ column }},
            quarters.{{ column }} - lag(quarters.{{ column }}) over by_quarter as {{ column }}_change,
        {% endfor %}
        (quarters.quarter_start + interval '3 months')::date <= building.as_of_date + 1 as is_final
    from quarters
    cross join building
    left join campaigns on quarters.quarter_start = campaigns.quarter_start
    left join margins on quarters.quarter_start = margins.quarter_start
    left join points on quarters.quarter_start = points.quarter_start
    left join coupons on quarters.quarter_start = coupons.quarter_start
    left join benefits on quarters.quarter_start = benefits.quarter_start
    window by_quarter as (order by quarters.quarter_start)
),

final as (
    select
        quarter_start,
        campaigns,
        campaigns_left_out,
        incremental_net_amount,
        margin_rate,
        incremental_margin_amount,
        points_cost_amount,
        coupon_cost_amount,
        coupon_funded_amount,
        benefit_cost_amount,
        coalesce(incremental_margin_amount, 0) - points_cost_amount - coupon_cost_amount - benefit_cost_amount
            as net_benefit_amount,
        {% for column in trend %}
            {{ column }},
            {{ column }}_change,
        {% endfor %}
        is_final
    from parts
)

select * from final
