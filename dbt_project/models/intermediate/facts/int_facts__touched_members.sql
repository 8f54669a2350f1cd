-- Grain: one row per member whose enrolments may differ from the highest published release: one of its cards or accounts
-- was delivered or replaced since, came to it or left it.
with delivered as (
    {{ changed_rows('pos', 'enrolments', ["'card' as identifier_kind", 'fed.card_no as identifier']) }}
    union
    {{ changed_rows('app', 'accounts', ["'account' as identifier_kind", 'fed.account_id as identifier']) }}
),

bridge as (
    select * from {{ ref('bridge_identity') }}
),

changed as (
    {{ changes('bridge_identity', ['member_id']) }}
),

final as (
    select bridge.member_id
    from bridge
    inner join delivered
        on bridge.identifier_kind = delivered.identifier_kind and bridge.identifier = delivered.identifier
    union
    select member_id from changed
    where not (select building.is_full from {{ source('release', 'building') }} as building)
)

select * from final
