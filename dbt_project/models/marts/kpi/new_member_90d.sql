-- Grain: one row per week of enrolment and recruiting store with new members.
{{ config(unique_key=['cohort_week', 'store_id'], may_be_empty=true) }}

with reporting as (
    select * from {{ ref('reporting_period') }}
),

cohorts as (
    select
        date_trunc('week', enrolled_on)::date as cohort_week,
        coalesce(recruit_store_id, 'APP') as store_id,
        count(*) as enrolled,
        count(*) filter (where first_purchase_since_enrolment_on - enrolled_on <= 90) as first_purchase_90d
    from {{ ref('dim_member') }}
    where is_in_cohorts
    group by date_trunc('week', enrolled_on), coalesce(recruit_store_id, 'APP')
),

final as (
    select
        cohorts.cohort_week,
        cohorts.store_id,
        cohorts.enrolled::integer as enrolled,
        cohorts.first_purchase_90d::integer as first_purchase_90d,
        cohorts.cohort_week + 6 + 90 <= reporting.as_of_date as is_final,
        case
            when cohorts.cohort_week + 6 + 90 <= reporting.as_of_date
                then {{ rate('cohorts.first_purchase_90d', 'cohorts.enrolled') }}
        end as first_purchase_rate
    from cohorts
    cross join reporting
)

select * from final
