-- Grain: one row per week and member on its list, as it was at the close of the Sunday before the week: once
-- published, a list does not change. Beside it what the week brought, and whether the member would still be on it by
-- what is known now.
{{ config(
    unique_key=['week_start', 'member_id'],
    scope={'columns': ['member_id'], 'relation': 'int_operations__touched_listed'},
    lookups=[['member_id']],
    may_be_empty=true,
) }}
-- depends_on: {{ ref('int_operations__touched_listed') }}
{%- set list = {
    'week_start': 'date', 'member_id': 'text', 'store_id': 'text', 'staff_id': 'text', 'stage_code': 'text',
    'act_from': 'date', 'act_by': 'date',
} %}

with building as (
    select as_of_date from {{ source('release', 'building') }}
),

weeks as (
    select
        week_start,
        week_start - 1 as sunday,
        week_start + 6 as last_day
    from {{ ref('int_operations__list_weeks') }}
),

published as (
    {{ published_rows('repurchase_list', list) }}
),

listed as (
    select
        {{ list.keys() | join(',\n        ') }}
    from published
    where {{ in_scope('member_id', 'int_operations__touched_listed') }}
    union all
    select
        {{ list.keys() | join(',\n        ') }}
    from {{ ref('int_operations__due') }}
),

members as (
    select
        listed.*,
        weeks.sunday,
        least(weeks.last_day, building.as_of_date) as until
    from listed
    inner join weeks on listed.week_start = weeks.week_start
    cross join building
),

contacted as (
    select
        members.week_start,
        members.member_id,
        min(contacts.made_on) filter (where contacts.made_on >= members.week_start) as contacted_on,
        bool_or(
            contacts.made_on >= members.week_start
            and coalesce(contacts.delivered_at, contacts.read_at, contacts.replied_at, contacts.arrived_at) is not null
        ) as is_reached,
        bool_or(
            contacts.made_on >= members.week_start
            and coalesce(contacts.accepted_at, contacts.appointed_at) is not null
        ) as is_accepted,
        bool_or(
            contacts.made_on >= members.week_start and {{ app_day('contacts.arrived_at') }} <= members.week_start + 6
        ) as is_arrived,
        bool_or(contacts.made_on < members.week_start) as was_contacted
    from members
    inner join {{ ref('fct_contact') }} as contacts
        on
            members.member_id = contacts.member_id
            and members.act_from < contacts.made_on
            and members.until >= contacts.made_on
    group by members.week_start, members.member_id
),

bought as (
    select
        members.week_start,
        members.member_id,
        min(days.business_date) filter (where days.business_date >= members.week_start and days.receipts > 0)
            as repurchased_on,
        sum(days.net_sales_amount) filter (where days.business_date >= members.week_start) as net_amount,
        bool_or(days.business_date < members.week_start and days.counted_until > members.sunday) as has_bought
    from members
    inner join {{ ref('int_members__days') }} as days
        on
            members.member_id = days.member_id
            and members.act_from < days.business_date
            and members.until >= days.business_date
    group by members.week_start, members.member_id
),

final as (
    select
        members.week_start,
        members.member_id,
        members.store_id,
        members.staff_id,
        members.stage_code,
        members.act_from,
        members.act_by,
        plays.action_en,
        plays.action_zh,
        plays.template_scene,
        contacted.contacted_on,
        coalesce(contacted.is_reached, false) as is_reached,
        coalesce(contacted.is_accepted, false) as is_accepted,
        coalesce(contacted.is_arrived, false) as is_arrived,
        bought.repurchased_on,
        coalesce(bought.net_amount, 0)::numeric(14, 2) as net_amount,
        stage_after.stage_code as stage_code_after,
        coalesce(
            members.stage_code = stage_before.stage_code
            and contacted.was_contacted is not true
            and bought.has_bought is not true,
            false
        ) as is_still_due
    from members
    left join contacted on members.week_start = contacted.week_start and members.member_id = contacted.member_id
    left join bought on members.week_start = bought.week_start and members.member_id = bought.member_id
    left join {{ ref('stage_plays') }} as plays
        on
            members.stage_code = plays.stage_code
            and plays.role = 'staff'
            and members.sunday >= plays.valid_from
            and members.sunday < plays.valid_to
    left join {{ ref('int_lifecycle__stages') }} as stage_before
        on
            members.member_id = stage_before.member_id
            and members.sunday >= stage_before.valid_from
            and members.sunday < stage_before.valid_to
    left join {{ ref('int_lifecycle__stages') }} as stage_after
        on
            members.member_id = stage_after.member_id
            and members.until >= stage_after.valid_from
            and members.until < stage_after.valid_to
)

select * from final
