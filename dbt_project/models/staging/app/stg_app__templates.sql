-- Grain: one row per template and version, as delivered last.
with templates as (
    {{ active_rows('app', 'templates') }}
),

newest as (
    select
        templates.*,
        row_number() over (
            partition by template_id, version order by _delivered_on desc, _batch_id desc, _line_no desc
        ) as recency
    from templates
),

final as (
    select
        template_id,
        version,
        scene,
        channel,
        text
    from newest
    where recency = 1
)

select * from final
