-- Grain: one row per week and store in which a member was counted otherwise before a restatement, cause and batch.
{{ config(materialized='kept_view') }}

with final as (
    select distinct
        week_start,
        store_id,
        cause,
        batch_id
    from {{ ref('int_restatement__stage_mix') }}
)

select * from final
