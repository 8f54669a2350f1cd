-- Grain: one row per member whose profile may differ from the highest published release: one of its cards or accounts
-- says something else or is another member's now, or consent was given or taken back.
{{ config(indexes=[{'columns': ['member_id']}]) }}

with statements as (
    {{ changes('int_members__statements', ['kind', 'id']) }}
),

final as (
    select bridge.member_id
    from statements
    inner join {{ ref('bridge_identity') }} as bridge
        on statements.kind = bridge.identifier_kind and statements.id = bridge.identifier
    union
    select member_id from ({{ changes('bridge_identity', ['member_id', 'identifier_kind']) }}) as bridge
    where identifier_kind in ('card', 'account')
    union
    select member_id from ({{ changes('fct_consent', ['member_id']) }}) as consents
    where member_id is not null
)

select * from final
where not (select is_full from {{ ref('int_release__step') }})
