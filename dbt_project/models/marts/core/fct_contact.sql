-- Grain: one row per contact, planned or made, with the newest of its states and the first time of each.
{{ config(
    unique_key=['contact_id'],
    scope={'columns': ['contact_id'], 'relation': 'int_facts__touched_contacts'},
    fed_by=['app__contacts'],
    lookups=[['identifier'], ['member_id'], ['made_on'], ['campaign_id']],
) }}

with contacts as (
    select * from {{ ref('stg_app__contacts') }}
    where {{ in_scope_by_index('contact_id', 'int_facts__touched_contacts') }}
),

states as (
    select * from {{ ref('stg_app__contact_states') }}
    where {{ in_scope_by_index('contact_id', 'int_facts__touched_contacts') }}
),

identified as (
    {{ identified('contacts', card='identifier', account='identifier') }}
),

reached as (
    select
        contact_id,
        (array_agg(state order by reached_at desc, step_no desc))[1] as state,
        max(reached_at) as state_at,
        (array_agg(objection_code order by reached_at desc, step_no desc) filter (where objection_code is not null))[1]
            as objection_code,
        min(reached_at) filter (where state = 'selected') as selected_at,
        min(reached_at) filter (where state = 'sent') as sent_at,
        min(reached_at) filter (where state = 'delivered') as delivered_at,
        min(reached_at) filter (where state = 'failed') as failed_at,
        min(reached_at) filter (where state = 'read') as read_at,
        min(reached_at) filter (where state = 'replied') as replied_at,
        min(reached_at) filter (where state = 'accept') as accepted_at,
        min(reached_at) filter (where state = 'defer') as deferred_at,
        min(reached_at) filter (where state = 'objection') as objected_at,
        min(reached_at) filter (where state = 'refuse') as refused_at,
        min(reached_at) filter (where state = 'silent') as silent_at,
        min(reached_at) filter (where state = 'appointed') as appointed_at,
        min(reached_at) filter (where state = 'arrived') as arrived_at,
        min(reached_at) filter (where state = 'purchased') as purchased_at
    from states
    group by contact_id
),

final as (
    select
        identified.contact_id,
        identified.member_id,
        identified.identifier,
        identified.staff_id,
        identified.store_id,
        identified.channel,
        identified.intent,
        identified.rung,
        identified.occasion,
        identified.template_id,
        identified.campaign_id,
        identified.is_self_reported,
        identified.created_at,
        identified.business_date,
        -- what was said to the member in the store was not sent
        {{ app_day('coalesce(reached.sent_at, reached.arrived_at)') }} as made_on,
        reached.state,
        reached.state_at,
        reached.objection_code,
        reached.selected_at,
        reached.sent_at,
        reached.delivered_at,
        reached.failed_at,
        reached.read_at,
        reached.replied_at,
        reached.accepted_at,
        reached.deferred_at,
        reached.objected_at,
        reached.refused_at,
        reached.silent_at,
        reached.appointed_at,
        reached.arrived_at,
        reached.purchased_at
    from identified
    left join reached on identified.contact_id = reached.contact_id
)

select * from final
