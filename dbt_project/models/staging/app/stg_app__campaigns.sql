-- Grain: one row per campaign, in its newest version.
with campaigns as (
    {{ active_rows('app', 'campaigns') }}
),

newest as (
    select
        campaigns.*,
        row_number() over (
            partition by campaign_id
            order by {{ app_instant('updated_at') }} desc nulls last, _delivered_on desc, _batch_id desc, _line_no desc
        ) as recency
    from campaigns
),

final as (
    select
        campaign_id,
        name,
        type,
        intent,
        starts_on,
        ends_on
    from newest
    where recency = 1
)

select * from final
