-- Grain: one row per week, level (store, region, hq) and its id.
-- Money counts by selling store; members by service store at the row's close. Both add up over stores.
{{ config(
    unique_key=['week_start', 'level', 'level_id'],
    scope={'columns': ['period_type', 'period_start'], 'relation': 'int_kpi__scope_periods'},
) }}
-- depends_on: {{ ref('int_kpi__scope_periods') }}

with figures as (
    select
        period_figures.*,
        period_figures.period_start as week_start
    from {{ ref('int_kpi__period_figures') }} as period_figures
    where period_figures.period_type = 'week'
),

final as (
    select
        {{ contract_columns() }}
    from figures
)

select * from final
