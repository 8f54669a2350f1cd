-- Grain: one row per metric: its one definition.
{{ config(unique_key=['metric_id']) }}

with metrics as (
    select * from {{ ref('metrics') }}
),

final as (
    select
        metric_id,
        number,
        name_en,
        name_zh,
        meaning_en,
        meaning_zh,
        formula,
        formula_zh,
        grain,
        exclusions_en,
        exclusions_zh,
        source,
        owner,
        replace(tables, ' ', ', ') as table_names,
        column_name
    from metrics
)

select * from final
