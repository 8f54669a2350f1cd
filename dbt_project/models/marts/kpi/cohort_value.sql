-- Grain: one row per month of first purchase: what its members brought in the first twelve months.
{{ config(materialized='published_view', unique_key=['cohort_month']) }}

with retention as (
    select * from {{ ref('cohort_retention') }}
),

final as (
    select
        cohort_month,
        max(cohort_members) as cohort_members,
        coalesce(sum(net_amount) filter (where month_number < 12), 0)::numeric(14, 2) as net_amount_12m,
        count(*) filter (where month_number < 12 and is_over) = 12 as is_final,
        case
            when count(*) filter (where month_number < 12 and is_over) = 12
                then (sum(net_amount) filter (where month_number < 12) / max(cohort_members))::numeric(14, 2)
        end as value_12m_amount
    from retention
    group by cohort_month
)

select * from final
