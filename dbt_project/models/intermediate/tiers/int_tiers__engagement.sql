-- Grain: one row per member and business date with deliberate events in the app; none while no rule asks for them.
with rules as (
    select * from {{ ref('int_tiers__rules') }}
    where engagement_30 is not null
),

deeds as (
    {{ active_rows('app', 'events') }}
),

catalogue as (
    {{ active_rows('reference', 'event_catalogue') }}
),

deliberate as (
    select name
    from (
        select
            catalogue.*,
            row_number() over (partition by name order by _delivered_on desc, _batch_id desc, _line_no desc) as recency
        from catalogue
    ) as newest
    where recency = 1 and is_deliberate
),

building as (
    select as_of_date from {{ source('release', 'building') }}
),

dated as (
    select
        account_id,
        {{ app_date('deeds.at') }} as done_on
    from deeds
    where deeds.name in (select deliberate.name from deliberate) and exists (select 1 from rules)
),

final as (
    select
        bridge.member_id,
        dated.done_on as business_date,
        count(*)::integer as events
    from dated
    inner join {{ ref('bridge_identity') }} as bridge
        on
            dated.account_id = bridge.identifier
            and bridge.identifier_kind = 'account'
            and dated.done_on >= bridge.valid_from
            and dated.done_on < bridge.valid_to
    where
        dated.done_on <= (select as_of_date from building)
        and {{ in_scope('bridge.member_id', 'int_tiers__touched_members') }}
    group by bridge.member_id, dated.done_on
)

select * from final
