-- Grain: one row per member of staff; no personal data.
{{ config(unique_key=['staff_id'], fed_by=['reference__staff']) }}

with final as (
    select
        staff_id,
        store_id,
        role,
        joined_on,
        left_on
    from {{ ref('stg_reference__staff') }}
)

select * from final
