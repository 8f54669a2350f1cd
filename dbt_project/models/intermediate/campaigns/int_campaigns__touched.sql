-- Grain: one row per campaign whose outcome may differ from the highest published release: it or who is in it was told
-- anew, it runs, somebody in it was contacted, or bought or stood otherwise than was known.
with step as (
    select * from {{ ref('int_release__step') }}
),

campaigns as (
    {{ changes('dim_campaign', ['campaign_id']) }}
),

assignments as (
    {{ changes('fct_campaign_assignment', ['campaign_id']) }}
),

contacts as (
    {{ changes('fct_contact', ['campaign_id']) }}
),

days as (
    {{ changes('int_members__days', ['member_id', 'business_date']) }}
),

stages as (
    {{ changes('int_lifecycle__stages', ['member_id', 'stage_code', 'valid_from', 'valid_to']) }}
),

members as not materialized (
    select
        assigned.campaign_id,
        assigned.member_id,
        windows.last_day,
        greatest(windows.starts_on, assigned.business_date) as window_from
    from {{ ref('fct_campaign_assignment') }} as assigned
    inner join {{ ref('int_campaigns__windows') }} as windows on assigned.campaign_id = windows.campaign_id
    where assigned.member_id is not null
),

buyers as (
    select distinct members.campaign_id
    from days
    inner join members
        on
            days.member_id = members.member_id
            and days.business_date >= members.window_from
            and days.business_date <= members.last_day
),

-- another stage on the day before the window
regraded as (
    select members.campaign_id
    from stages
    inner join members
        on
            stages.member_id = members.member_id
            and members.window_from - 1 >= stages.valid_from
            and members.window_from - 1 < stages.valid_to
    group by members.campaign_id, members.member_id, stages.stage_code
    having count(*) = 1
),

published as (
    {{ published_rows('campaign_performance', {'campaign_id': 'text'}) }}
),

found as (
    select campaign_id from campaigns
    union
    select campaign_id from assignments
    union
    select campaign_id from contacts
    where campaign_id is not null
    union
    select campaign_id from buyers
    union
    select campaign_id from regraded
    union
    select windows.campaign_id
    from {{ ref('int_campaigns__windows') }} as windows
    cross join step
    where windows.starts_on <= step.to_date and windows.last_day >= step.from_date
    union
    -- a step back, to before it began
    select published.campaign_id
    from published
    left join {{ ref('int_campaigns__windows') }} as windows on published.campaign_id = windows.campaign_id
    where windows.campaign_id is null
),

final as (
    select campaign_id from found
    where not (select is_full from step)
)

select * from final
