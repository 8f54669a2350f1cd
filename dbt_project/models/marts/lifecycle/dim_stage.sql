-- Grain: one row per lifecycle stage.
{{ config(unique_key=['stage_code']) }}

with final as (
    select
        stage_code,
        sort_order,
        name_en,
        name_zh,
        four_band,
        five_stage,
        four_stage,
        rule_en,
        rule_zh
    from {{ ref('stages') }}
)

select * from final
