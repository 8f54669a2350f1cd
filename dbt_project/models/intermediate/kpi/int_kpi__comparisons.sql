-- Grain: one row per week and earlier week that it is compared with: the last one, and the one 52 weeks ago, where the
-- release knows it.
with weeks as (
    select * from {{ ref('int_kpi__periods') }}
    where period_type = 'week'
),

kinds as (
    {{ comparisons() }}
),

final as (
    select
        weeks.period_start as week_start,
        weeks.closing_on,
        kinds.compared_with,
        kinds.days_apart,
        earlier.period_start as compared_week_start
    from weeks
    cross join kinds
    inner join weeks as earlier on weeks.period_start - kinds.days_apart = earlier.period_start
)

select * from final
