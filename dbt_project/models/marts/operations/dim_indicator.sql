-- Grain: one row per indicator of the store compass.
{{ config(unique_key=['indicator']) }}

with final as (
    select
        indicator,
        direction,
        sort_order,
        better,
        is_lever,
        name_en,
        name_zh,
        rationale
    from {{ ref('compass_indicators') }}
)

select * from final
