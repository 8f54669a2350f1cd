-- Grain: one row per week whose sums the gate reconciles: those that this build looked at, and always the newest.
with final as (
    select week_start from {{ ref('int_kpi__scope_weeks') }}
    union
    select max(week_start) as week_start from {{ ref('week_close') }}
)

select * from final
