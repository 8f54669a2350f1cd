-- Grain: one row per campaign that began by the as-of date, with the last day whose purchases count for it: its own, or
-- so many days after its first.
with building as (
    select as_of_date from {{ source('release', 'building') }}
),

final as (
    select
        campaigns.campaign_id,
        campaigns.starts_on,
        coalesce(campaigns.ends_on, campaigns.starts_on + {{ outreach_parameter('campaign_days') }}) as last_day
    from {{ ref('dim_campaign') }} as campaigns
    where campaigns.starts_on <= (select building.as_of_date from building)
)

select * from final
