-- Grain: one row per year, level (store, region, hq) and its id.
-- Money counts by selling store; members by service store at the row's close. Both add up over stores.
{{ config(
    unique_key=['period_start', 'level', 'level_id'],
    scope={'columns': ['period_type', 'period_start'], 'relation': 'int_kpi__scope_periods'},
) }}
-- depends_on: {{ ref('int_kpi__scope_periods') }}

with figures as (
    select * from {{ ref('int_kpi__period_figures') }}
    where period_type = 'year'
),

final as (
    select
        {{ contract_columns() }}
    from figures
)

select * from final
