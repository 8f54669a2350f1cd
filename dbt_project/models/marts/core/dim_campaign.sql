-- Grain: one row per campaign, as it was told last.
{{ config(unique_key=['campaign_id'], fed_by=['app__campaigns']) }}

with final as (
    select
        campaign_id,
        name as campaign_name,
        type as campaign_type,
        intent,
        starts_on,
        ends_on
    from {{ ref('stg_app__campaigns') }}
)

select * from final
