-- Grain: one row per week of first purchase and store that made it, with first-time buyers.
{{ config(unique_key=['cohort_week', 'store_id'], may_be_empty=true) }}

with reporting as (
    select * from {{ ref('reporting_period') }}
),

cohorts as (
    select
        date_trunc('week', first_purchase_on)::date as cohort_week,
        first_purchase_store_id as store_id,
        count(*) as first_buyers,
        count(*) filter (where second_purchase_on - first_purchase_on <= 90) as second_purchase_90d
    from {{ ref('dim_member') }}
    where is_in_cohorts and first_purchase_on is not null
    group by date_trunc('week', first_purchase_on), first_purchase_store_id
),

final as (
    select
        cohorts.cohort_week,
        cohorts.store_id,
        cohorts.first_buyers::integer as first_buyers,
        cohorts.second_purchase_90d::integer as second_purchase_90d,
        cohorts.cohort_week + 6 + 90 <= reporting.as_of_date as is_mature,
        -- what comes back within a month may still take a purchase away
        cohorts.cohort_week + 6 + 120 <= reporting.as_of_date as is_final,
        case
            when cohorts.cohort_week + 6 + 90 <= reporting.as_of_date
                then {{ rate('cohorts.second_purchase_90d', 'cohorts.first_buyers') }}
        end as second_purchase_rate
    from cohorts
    cross join reporting
)

select * from final
