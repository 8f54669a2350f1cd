-- Grain: one row per kind of period, period, level (store, region, hq) and its id that this build looks at: all that
-- the KPI tables say of it. Money counts by selling store; members by service store at the close, opening members and
-- who of them left by the one at the opening. All counts and sums add up over stores.
{%- set counts = [
    'opening_members', 'new_members', 'net_transfers', 'closing_members', 'churn_base', 'churned_lapse',
    'churned_closed', 'churn_base_12m', 'churned_12m', 'purchasers_365', 'repeat_purchasers_365', 'purchasing_members',
    'active_members', 'engaged_members_30', 'contactable_members', 'filled_fields', 'sale_receipts', 'sale_receipts_member', 'sale_receipts_anonymous',
    'sale_receipts_multi_unit',
] %}
{%- set amounts = [
    'sale_net_amount', 'sale_net_amount_member', 'sale_gross_amount', 'sale_discount_amount', 'net_sales_amount',
    'net_sales_member_amount',
] %}

with periods as (
    select * from {{ ref('int_kpi__periods') }}
    where {{ in_scope(['period_type', 'period_start'], 'int_kpi__scope_periods') }}
),

stores as (
    select * from {{ ref('dim_store') }}
),

first_day as (
    select observed_from from {{ ref('reporting_period') }}
),

day_members as (
    select * from {{ ref('int_kpi__day_members') }}
),

coverage as (
    select
        periods.period_type,
        periods.period_start,
        day_coverage.store_id,
        bool_and(day_coverage.is_covered) as is_covered
    from periods
    inner join {{ ref('int_kpi__day_coverage') }} as day_coverage
        on periods.period_start <= day_coverage.calendar_date and periods.closing_on >= day_coverage.calendar_date
    group by periods.period_type, periods.period_start, day_coverage.store_id
),

by_store as (
    select
        periods.*,
        stores.store_id,
        stores.region,
        periods.is_over and coalesce(coverage.is_covered, true) as is_complete,
        opening.valid_members as opening_members,
        moves.new_members,
        moves.net_transfers,
        closing.valid_members as closing_members,
        opening.churn_base,
        moves.churned_lapse,
        moves.churned_closed,
        year_ago.churn_base as churn_base_12m,
        closing.churned_12m,
        closing.purchasers_365,
        closing.repeat_purchasers_365,
        purchasers.purchasing_members,
        closing.active_members,
        closing.engaged_members_30,
        closing.contactable_members,
        closing.filled_fields,
        sales.sale_receipts,
        sales.sale_receipts_member,
        sales.sale_receipts_anonymous,
        sales.sale_receipts_multi_unit,
        sales.sale_units,
        sales.sale_net_amount,
        sales.sale_net_amount_member,
        sales.sale_gross_amount,
        sales.sale_discount_amount,
        sales.net_sales_amount,
        sales.net_sales_member_amount
    from periods
    cross join stores
    left join day_members as opening on periods.opening_on = opening.day and stores.store_id = opening.store_id
    left join day_members as closing on periods.closing_on = closing.day and stores.store_id = closing.store_id
    left join day_members as year_ago
        on periods.closing_on - 365 = year_ago.day and stores.store_id = year_ago.store_id
    left join {{ ref('int_kpi__period_moves') }} as moves
        on
            periods.period_type = moves.period_type
            and periods.period_start = moves.period_start
            and stores.store_id = moves.store_id
    left join {{ ref('int_kpi__period_purchasers') }} as purchasers
        on
            periods.period_type = purchasers.period_type
            and periods.period_start = purchasers.period_start
            and stores.store_id = purchasers.store_id
    left join {{ ref('int_kpi__period_sales') }} as sales
        on
            periods.period_type = sales.period_type
            and periods.period_start = sales.period_start
            and stores.store_id = sales.store_id
    left join coverage
        on
            periods.period_type = coverage.period_type
            and periods.period_start = coverage.period_start
            and stores.store_id = coverage.store_id
),

by_level as (
    select
        period_type,
        period_start,
        closing_on,
        days_elapsed,
        {{ level() }} as level,
        {{ level_id() }} as level_id,
        bool_and(is_complete) as is_complete,
        {% for count in counts %}
            coalesce(sum({{ count }}), 0)::bigint as {{ count }},
        {% endfor %}
        {% for amount in amounts %}
            coalesce(sum({{ amount }}), 0)::numeric(14, 2) as {{ amount }},
        {% endfor %}
        coalesce(sum(sale_units), 0)::numeric(14, 3) as sale_units
    from by_store
    group by {{ by_level(['period_type', 'period_start', 'closing_on', 'days_elapsed']) }}
),

-- a lapse takes a year to be seen: with less history its count would be a 0 that means nothing
observed as (
    select
        by_level.*,
        by_level.period_start - first_day.observed_from >= {{ lifecycle_parameter('window_days') }} as sees_lapses,
        by_level.closing_on - 364 - first_day.observed_from >= {{ lifecycle_parameter('window_days') }}
            as sees_lapses_of_12m
    from by_level
    cross join first_day
),

final as (
    select
        period_type,
        period_start,
        level,
        level_id,
        opening_members,
        new_members,
        net_transfers,
        closing_members,
        churn_base,
        case when sees_lapses then churned_lapse end as churned_lapse,
        churned_closed,
        case when sees_lapses_of_12m then churn_base_12m end as churn_base_12m,
        case when sees_lapses_of_12m then churned_12m end as churned_12m,
        purchasers_365,
        repeat_purchasers_365,
        sale_receipts,
        sale_receipts_member,
        sale_receipts_anonymous,
        sale_receipts_multi_unit,
        sale_units,
        sale_net_amount,
        sale_net_amount_member,
        sale_gross_amount,
        sale_discount_amount,
        net_sales_amount,
        net_sales_member_amount,
        purchasing_members,
        active_members,
        closing_members as valid_members,
        engaged_members_30,
        contactable_members,
        filled_fields,
        days_elapsed,
        is_complete,
        'files'::text as completeness_basis,
        {{ rate('new_members', 'opening_members') }} as growth_rate,
        {{ rate('closing_members - opening_members - net_transfers', 'opening_members') }} as net_growth_rate,
        case when sees_lapses then {{ rate('churned_lapse + churned_closed', 'churn_base') }} end as churn_rate,
        case when sees_lapses_of_12m then {{ rate('churned_12m', 'churn_base_12m') }} end as churn_rate_12m,
        {{ rate('repeat_purchasers_365', 'purchasers_365') }} as repurchase_rate,
        (sale_net_amount / nullif(sale_receipts, 0))::numeric(14, 2) as average_ticket_amount,
        (sale_net_amount_member / nullif(sale_receipts_member, 0))::numeric(14, 2) as average_ticket_member_amount,
        (net_sales_member_amount / nullif(purchasing_members, 0))::numeric(14, 2) as spend_per_member_amount,
        {{ rate('active_members', 'closing_members') }} as activity_rate,
        {{ rate('engaged_members_30', 'closing_members') }} as engagement_rate,
        {{ rate('contactable_members', 'closing_members') }} as consent_reach,
        {{ rate('filled_fields', '(closing_members * ' ~ required_profile_fields() | length ~ ')') }}
            as info_completeness,
        {{ rate('net_sales_member_amount', 'net_sales_amount') }} as member_sales_share,
        {{ rate('sale_receipts_member', 'sale_receipts') }} as member_receipt_share,
        {{ rate('sale_receipts_anonymous', 'sale_receipts') }} as anonymous_rate,
        (sale_units / nullif(sale_receipts, 0))::numeric(14, 4) as units_per_receipt,
        {{ rate('sale_receipts_multi_unit', 'sale_receipts') }} as attach_rate,
        {{ rate('sale_discount_amount', 'sale_gross_amount') }} as discount_rate,
        concat_ws(
            '; ',
            case when not sees_lapses then 'churn: not observable yet' end,
            case when not sees_lapses_of_12m then 'churn over 12 months: not observable yet' end
        ) as caveats
    from observed
)

select * from final
