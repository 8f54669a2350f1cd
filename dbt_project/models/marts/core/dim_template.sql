-- Grain: one row per template and version of what is said to members.
{{ config(unique_key=['template_id', 'version'], fed_by=['app__templates']) }}

with templates as (
    select * from {{ ref('stg_app__templates') }}
),

final as (
    select
        template_id,
        version,
        scene,
        channel,
        text as template_text,
        row_number() over (partition by template_id order by version desc) = 1 as is_newest
    from templates
)

select * from final
