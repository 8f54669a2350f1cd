-- Grain: one row per week, level (store, region, hq) and its id with contacts of members in the week or in the 90 days
-- before its close: how many, what came of them, care against selling, and whom it was too much for.
{{ config(
    unique_key=['week_start', 'level', 'level_id'],
    scope={'columns': ['week_start'], 'relation': 'int_kpi__touched_balances'},
    fed_by=['app__contacts'],
    may_be_empty=true,
) }}
-- depends_on: {{ ref('int_kpi__touched_balances') }}
{%- set of_week = [
    'contacts', 'contacts_sent', 'contacts_reached', 'arrived_14d', 'contacted_member_days', 'over_contact_member_days',
] %}
{%- set of_90_days = ['care_contacts', 'sell_contacts'] %}

with building as (
    select as_of_date from {{ source('release', 'building') }}
),

weeks as (
    select
        period_start as week_start,
        closing_on
    from {{ ref('int_kpi__periods') }}
    where period_type = 'week' and {{ in_scope('period_start', 'int_kpi__touched_balances', ['week_start']) }}
),

contacts as (
    select
        contact_id,
        member_id,
        store_id,
        made_on,
        coalesce(sent_at, arrived_at) as made_at,
        (intent = 'sell')::integer as is_sell,
        (intent = 'care')::integer as is_care,
        (sent_at is not null)::integer as is_sent,
        (coalesce(delivered_at, read_at, replied_at, arrived_at) is not null)::integer as is_reached,
        (sent_at is not null and {{ app_day('arrived_at') }} <= made_on + 14)::integer as is_arrived_14d
    from {{ ref('fct_contact') }}
    where
        member_id is not null
        and made_on >= (select min(weeks.week_start) from weeks) - 90
        and made_on <= (select max(weeks.closing_on) from weeks)
),

-- a member's contacts of a day, in the store of the first one
member_days as (
    select
        member_id,
        made_on,
        (array_agg(store_id order by made_at, contact_id))[1] as store_id,
        count(*) as contacts,
        sum(is_sell) as sells
    from contacts
    group by member_id, made_on
),

-- what the member got in the days that end with it
recent as (
    select
        days.member_id,
        days.made_on,
        days.store_id,
        sum(earlier.sells) filter (
            where earlier.made_on > days.made_on - {{ outreach_parameter('sell_cap_days') }}
        ) as sells,
        sum(earlier.contacts) filter (
            where earlier.made_on > days.made_on - {{ outreach_parameter('contact_cap_days') }}
        ) as contacts
    from member_days as days
    inner join member_days as earlier
        on
            days.member_id = earlier.member_id
            and days.made_on >= earlier.made_on
            and days.made_on - 90 < earlier.made_on
    group by days.member_id, days.made_on, days.store_id
),

store_days as (
    select
        store_id,
        made_on as day,
        count(*) as contacts,
        sum(is_sent) as contacts_sent,
        sum(is_reached) as contacts_reached,
        sum(is_arrived_14d) as arrived_14d,
        0 as contacted_member_days,
        0 as over_contact_member_days,
        sum(is_care) as care_contacts,
        sum(is_sell) as sell_contacts
    from contacts
    group by store_id, made_on
    union all
    select
        store_id,
        made_on as day,
        0 as contacts,
        0 as contacts_sent,
        0 as contacts_reached,
        0 as arrived_14d,
        count(*) as contacted_member_days,
        count(*) filter (
            where sells > {{ outreach_parameter('sell_cap') }} or contacts > {{ outreach_parameter('contact_cap') }}
        ) as over_contact_member_days,
        0 as care_contacts,
        0 as sell_contacts
    from recent
    group by store_id, made_on
),

joined as (
    select
        weeks.week_start,
        stores.store_id,
        stores.region,
        {% for measure in of_week %}
            case when store_days.day >= weeks.week_start then store_days.{{ measure }} else 0 end as {{ measure }},
        {% endfor %}
        {% for measure in of_90_days %}
            store_days.{{ measure }}{% if not loop.last %},{% endif %}
        {% endfor %}
    from weeks
    inner join store_days on weeks.closing_on - 89 <= store_days.day and weeks.closing_on >= store_days.day
    inner join {{ ref('dim_store') }} as stores on store_days.store_id = stores.store_id
),

by_level as (
    select
        week_start,
        {{ level() }} as level,
        {{ level_id() }} as level_id,
        {% for measure in of_week %}
            sum({{ measure }}) as {{ measure }},
        {% endfor %}
        {% for measure in of_90_days %}
            sum({{ measure }}) as {{ measure }}_90{% if not loop.last %},{% endif %}
        {% endfor %}
    from joined
    group by {{ by_level(['week_start']) }}
),

final as (
    select
        by_level.week_start,
        by_level.level,
        by_level.level_id,
        {% for measure in of_week %}
            by_level.{{ measure }}::integer as {{ measure }},
        {% endfor %}
        {% for measure in of_90_days %}
            by_level.{{ measure }}_90::integer as {{ measure }}_90,
        {% endfor %}
        {{ rate('by_level.care_contacts_90', 'by_level.sell_contacts_90') }} as care_to_sell_ratio,
        {{ rate('by_level.contacts_reached', 'by_level.contacts') }} as reach_rate,
        {{ rate('by_level.arrived_14d', 'by_level.contacts_sent') }} as invite_return_rate,
        {{ rate('by_level.over_contact_member_days', 'by_level.contacted_member_days') }} as over_contact_rate,
        by_level.week_start + 6 + 14 <= building.as_of_date as is_final
    from by_level
    cross join building
)

select * from final
