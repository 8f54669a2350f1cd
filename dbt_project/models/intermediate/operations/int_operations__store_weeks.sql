-- Grain: one row per week that is over and store: what the compass divides, each as the week knew it.
-- Second purchases are those of the first-time buyers of 13 weeks before, whose 90 days are over; visits after an
-- invitation those of two weeks before. Of weeks that this build does not look at, those back to the quarter before
-- last year's.
{{ config(indexes=[{'columns': ['store_id', 'week_start']}]) }}

with looked_at as (
    {%- if is_full_build() %}
        select '-infinity'::date as first_day
    {%- else %}
        select min(week_start) - 364 - 84 as first_day from {{ ref('int_operations__touched_compass_weeks') }}
    {%- endif %}
),

kpis as (
    select weeks.*
    from {{ ref('kpi_weekly') }} as weeks
    inner join looked_at on weeks.week_start >= looked_at.first_day
    where weeks.level = 'store' and weeks.days_elapsed = 7
),

visits as (
    select
        date_trunc('week', business_date)::date as week_start,
        store_id,
        sum(visitors) as visitors
    from {{ ref('stg_pos__footfall') }}
    where business_date >= (select first_day from looked_at)
    group by date_trunc('week', business_date), store_id
),

enrolments as (
    select
        date_trunc('week', enrolled_on)::date as week_start,
        store_id,
        count(*) as enrolled
    from {{ ref('fct_enrolment') }}
    where identifier_kind = 'card' and enrolled_on >= (select first_day from looked_at)
    group by date_trunc('week', enrolled_on), store_id
),

final as (
    select
        kpis.week_start,
        kpis.level_id as store_id,
        visits.visitors::numeric as visitors,
        kpis.sale_receipts::numeric as sale_receipts,
        kpis.sale_receipts_multi_unit::numeric as sale_receipts_multi_unit,
        (kpis.sale_receipts - kpis.sale_receipts_member)::numeric as sale_receipts_of_others,
        kpis.sale_receipts_member::numeric as sale_receipts_member,
        kpis.sale_units,
        kpis.sale_net_amount,
        kpis.sale_net_amount_member,
        kpis.sale_gross_amount,
        kpis.sale_discount_amount,
        kpis.net_sales_amount,
        kpis.net_sales_member_amount,
        kpis.new_members::numeric as new_members,
        coalesce(enrolments.enrolled, 0)::numeric as enrolled,
        kpis.valid_members::numeric as valid_members,
        kpis.filled_fields::numeric as filled_fields,
        kpis.active_members::numeric as active_members,
        kpis.purchasers_365::numeric as purchasers_365,
        kpis.repeat_purchasers_365::numeric as repeat_purchasers_365,
        kpis.churn_base::numeric as churn_base,
        (kpis.churned_lapse + kpis.churned_closed)::numeric as churned,
        cohorts.first_buyers::numeric as first_buyers,
        cohorts.second_purchase_90d::numeric as second_buyers,
        contacts.contacts_sent::numeric as contacts_sent,
        contacts.arrived_14d::numeric as arrived
    from kpis
    left join visits on kpis.week_start = visits.week_start and kpis.level_id = visits.store_id
    left join enrolments on kpis.week_start = enrolments.week_start and kpis.level_id = enrolments.store_id
    left join {{ ref('second_purchase_90d') }} as cohorts
        on kpis.week_start - 91 = cohorts.cohort_week and kpis.level_id = cohorts.store_id and cohorts.is_mature
    left join {{ ref('contact_balance_weekly') }} as contacts
        on
            kpis.week_start - 14 = contacts.week_start
            and contacts.level = 'store'
            and kpis.level_id = contacts.level_id
            and contacts.is_final
)

select * from final
