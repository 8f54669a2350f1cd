-- Grain: one row per name of an event in the app that the catalogue has.
{{ config(unique_key=['event_name'], fed_by=['reference__event_catalogue']) }}

with final as (
    select
        event_name,
        is_deliberate,
        funnel_step,
        category
    from {{ ref('stg_reference__event_catalogue') }}
)

select * from final
