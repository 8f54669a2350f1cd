-- Grain: one row per month that is over and that this build looks at, and member who is valid at its end and bought in
-- the 365 days before: how long ago, how often and for how much.
{{ config(indexes=[{'columns': ['month_start']}]) }}

with months as (
    select
        period_start as month_start,
        closing_on
    from {{ ref('int_kpi__periods') }}
    where period_type = 'month' and is_over and {{ in_scope('period_start', 'int_kpi__scope_months', ['month_start']) }}
),

figures as (
    select
        months.month_start,
        months.closing_on,
        days.member_id,
        max(days.business_date) filter (where days.counted_until > months.closing_on) as last_purchase_on,
        count(*) filter (where days.counted_until > months.closing_on) as purchase_days_365,
        sum(days.net_sales_amount) as spend_365_amount
    from months
    inner join {{ ref('int_members__days') }} as days
        on
            months.closing_on >= days.business_date
            and days.business_date > months.closing_on - {{ lifecycle_parameter('window_days') }}::integer
    group by months.month_start, months.closing_on, days.member_id
    having count(*) filter (where days.counted_until > months.closing_on) > 0
),

final as (
    select
        figures.month_start,
        figures.member_id,
        service_stores.store_id,
        figures.closing_on - figures.last_purchase_on as days_since_purchase,
        figures.purchase_days_365,
        figures.spend_365_amount
    from figures
    inner join {{ ref('int_lifecycle__stages') }} as stages
        on
            figures.member_id = stages.member_id
            and figures.closing_on >= stages.valid_from
            and figures.closing_on < stages.valid_to
    inner join {{ ref('int_members__service_stores') }} as service_stores
        on
            figures.member_id = service_stores.member_id
            and figures.closing_on >= service_stores.valid_from
            and figures.closing_on < service_stores.valid_to
    where {{ is_valid_stage('stages.stage_code') }}
)

select * from final
