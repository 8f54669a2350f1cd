-- Grain: one row per account, business date and name of an event in the app: how often it happened.
{{ config(
    unique_key=['account_id', 'business_date', 'event_name'],
    scope={'columns': ['account_id', 'business_date'], 'relation': 'int_facts__touched_event_days'},
    fed_by=['app__events'],
    lookups=[['member_id', 'business_date']],
) }}

with counted as (
    select * from {{ ref('int_events__batch_days') }}
    where {{ in_scope(['account_id', 'business_date'], 'int_facts__touched_event_days') }}
),

days as (
    select
        account_id,
        business_date,
        event_name,
        sum(events)::integer as events
    from counted
    group by account_id, business_date, event_name
),

-- an account is all that an event names
identified as (
    {{ identified('days', card='account_id') }}
),

final as (
    select
        identified.account_id,
        identified.business_date,
        identified.event_name,
        identified.member_id,
        identified.events,
        coalesce(catalogue.is_deliberate, false) as is_deliberate
    from identified
    left join {{ ref('dim_app_event') }} as catalogue on identified.event_name = catalogue.event_name
)

select * from final
