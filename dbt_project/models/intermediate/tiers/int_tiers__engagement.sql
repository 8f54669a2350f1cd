-- Grain: one row per member and business date with deliberate events in the app; none while no rule asks for them.
with rules as (
    select * from {{ ref('int_tiers__rules') }}
    where engagement_30 is not null
),

deeds as (
    select * from {{ ref('fct_app_event_day') }}
    where
        is_deliberate
        and member_id is not null
        and exists (select 1 from rules)
        and {{ in_scope('member_id', 'int_tiers__touched_members') }}
),

final as (
    select
        member_id,
        business_date,
        sum(events)::integer as events
    from deeds
    group by member_id, business_date
)

select * from final
