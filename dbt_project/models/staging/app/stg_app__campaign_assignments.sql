-- Grain: one row per campaign and card or account put into it by the as-of date; without a moment, on the day on which
-- it was delivered.
with assignments as (
    {{ active_rows('app', 'campaign_assignments') }}
),

building as (
    select as_of_date from {{ source('release', 'building') }}
),

dated as (
    select
        campaign_id,
        member as identifier,
        arm,
        coalesce({{ app_date('assigned_at') }}, _delivered_on) as business_date,
        row_number() over (
            partition by campaign_id, member order by _delivered_on desc, _batch_id desc, _line_no desc
        ) as recency
    from assignments
),

final as (
    select
        campaign_id,
        identifier,
        arm,
        business_date
    from dated
    where recency = 1 and business_date <= (select as_of_date from building)
)

select * from final
