-- Grain: one row per calendar quarter up to the as-of date.
{{ config(unique_key=['quarter_start']) }}

with final as (
    select
        quarter_start,
        loyal_threshold_amount
    from {{ ref('int_lifecycle__loyal_thresholds') }}
)

select * from final
