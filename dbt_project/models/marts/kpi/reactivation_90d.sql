-- Grain: one row per week of coming back and service store with members who came back (stage S07).
{{ config(
    unique_key=['cohort_week', 'store_id'],
    scope={'columns': ['cohort_week'], 'relation': 'int_kpi__touched_reactivations'},
    may_be_empty=true,
) }}
-- depends_on: {{ ref('int_kpi__touched_reactivations') }}

with reporting as (
    select * from {{ ref('reporting_period') }}
),

cohorts as (
    select
        date_trunc('week', entered_on)::date as cohort_week,
        store_id,
        count(*) as entrants,
        count(*) filter (where next_purchase_on - entered_on <= 90) as kept_90d
    from {{ ref('int_kpi__reactivations') }}
    where
        {{ in_scope("date_trunc('week', entered_on)::date", 'int_kpi__touched_reactivations', ['cohort_week']) }}
    group by date_trunc('week', entered_on), store_id
),

final as (
    select
        cohorts.cohort_week,
        cohorts.store_id,
        cohorts.entrants::integer as entrants,
        cohorts.kept_90d::integer as kept_90d,
        cohorts.cohort_week + 6 + 90 <= reporting.as_of_date as is_final,
        case
            when cohorts.cohort_week + 6 + 90 <= reporting.as_of_date
                then {{ rate('cohorts.kept_90d', 'cohorts.entrants') }}
        end as kept_rate
    from cohorts
    cross join reporting
)

select * from final
