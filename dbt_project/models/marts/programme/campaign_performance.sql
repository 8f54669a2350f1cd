-- Grain: one row per campaign and arm with members. Whoever was put in counts, contacted or not, and in the arm that
-- was drawn: what the campaign did is the difference of the arms, compared within the stages in which their members
-- stood before.
{{ config(
    unique_key=['campaign_id', 'arm'],
    scope={'columns': ['campaign_id'], 'relation': 'int_campaigns__touched'},
    fed_by=['app__campaign_assignments'],
    may_be_empty=true,
) }}
-- depends_on: {{ ref('int_campaigns__touched') }}
{%- set z = 1.959964 %}

with building as (
    select as_of_date from {{ source('release', 'building') }}
),

windows as (
    select * from {{ ref('int_campaigns__windows') }}
    where {{ in_scope('campaign_id', 'int_campaigns__touched') }}
),

-- by the first of a member's cards or accounts that was put in
assigned as (
    select distinct on (assignments.campaign_id, assignments.member_id)
        assignments.campaign_id,
        assignments.member_id,
        assignments.arm,
        windows.last_day,
        greatest(windows.starts_on, assignments.business_date) as window_from
    from {{ ref('fct_campaign_assignment') }} as assignments
    inner join windows on assignments.campaign_id = windows.campaign_id
    where assignments.member_id is not null
    order by
        assignments.campaign_id, assignments.member_id, assignments.business_date, assignments.arm,
        assignments.identifier
),

contacted as (
    select distinct
        contacts.campaign_id,
        contacts.member_id
    from {{ ref('fct_contact') }} as contacts
    inner join windows on contacts.campaign_id = windows.campaign_id
    where contacts.member_id is not null and contacts.made_on is not null
),

spent as (
    select
        assigned.campaign_id,
        assigned.member_id,
        bool_or(days.receipts > 0) as has_bought,
        sum(days.net_sales_amount) as net_amount
    from assigned
    inner join {{ ref('int_members__days') }} as days
        on
            assigned.member_id = days.member_id
            and assigned.window_from <= days.business_date
            and assigned.last_day >= days.business_date
    group by assigned.campaign_id, assigned.member_id
),

members as (
    select
        assigned.campaign_id,
        assigned.member_id,
        assigned.arm,
        coalesce(stages.stage_code, 'none') as stage_code,
        (contacted.member_id is not null)::integer as is_contacted,
        coalesce(spent.has_bought, false)::integer as has_bought,
        coalesce(spent.net_amount, 0) as net_amount
    from assigned
    left join {{ ref('int_lifecycle__stages') }} as stages
        on
            assigned.member_id = stages.member_id
            and assigned.window_from - 1 >= stages.valid_from
            and assigned.window_from - 1 < stages.valid_to
    left join contacted
        on assigned.campaign_id = contacted.campaign_id and assigned.member_id = contacted.member_id
    left join spent on assigned.campaign_id = spent.campaign_id and assigned.member_id = spent.member_id
    where stages.stage_code is distinct from 'X'
),

arms as (
    select
        campaign_id,
        arm,
        count(*) as members,
        sum(is_contacted) as contacted,
        sum(has_bought) as purchasers,
        sum(net_amount) as net_amount
    from members
    group by campaign_id, arm
),

-- stages with too few in one of the arms are compared as one
by_stage as (
    select
        campaign_id,
        stage_code,
        case
            when
                least(count(*) filter (where arm = 'treated'), count(*) filter (where arm = 'hold_out'))
                >= {{ outreach_parameter('least_of_stage') }}
                then stage_code
        end as stratum
    from members
    group by campaign_id, stage_code
),

strata as (
    select
        members.campaign_id,
        by_stage.stratum,
        (count(*) filter (where members.arm = 'treated'))::numeric as treated,
        (count(*) filter (where members.arm = 'hold_out'))::numeric as held_out,
        coalesce(sum(members.has_bought) filter (where members.arm = 'treated'), 0)::numeric as treated_purchasers,
        coalesce(sum(members.has_bought) filter (where members.arm = 'hold_out'), 0)::numeric as held_out_purchasers
    from members
    inner join by_stage
        on members.campaign_id = by_stage.campaign_id and members.stage_code = by_stage.stage_code
    group by members.campaign_id, by_stage.stratum
),

rates as (
    select
        strata.*,
        treated_purchasers / treated as treated_rate,
        held_out_purchasers / held_out as held_out_rate,
        (treated + held_out) / sum(treated + held_out) over (partition by campaign_id) as weight
    from strata
    where treated > 0 and held_out > 0
),

estimates as (
    select
        campaign_id,
        sum(weight * (treated_rate - held_out_rate)) as uplift,
        sqrt(
            sum(
                weight * weight * (
                    treated_rate * (1 - treated_rate) / treated + held_out_rate * (1 - held_out_rate) / held_out
                )
            )
        ) as standard_error
    from rates
    group by campaign_id
    having least(sum(treated), sum(held_out)) >= {{ outreach_parameter('least_of_arm') }}
),

final as (
    select
        arms.campaign_id,
        arms.arm,
        arms.members::integer as members,
        arms.contacted::integer as contacted,
        arms.purchasers::integer as purchasers,
        arms.net_amount::numeric(14, 2) as net_amount,
        {{ rate('arms.purchasers', 'arms.members') }} as purchase_rate,
        estimates.uplift::numeric(14, 6) as uplift,
        (estimates.uplift - {{ z }} * estimates.standard_error)::numeric(14, 6) as ci_low,
        (estimates.uplift + {{ z }} * estimates.standard_error)::numeric(14, 6) as ci_high,
        windows.last_day <= building.as_of_date as is_final
    from arms
    inner join windows on arms.campaign_id = windows.campaign_id
    cross join building
    left join estimates on arms.campaign_id = estimates.campaign_id and arms.arm = 'treated'
)

select * from final
