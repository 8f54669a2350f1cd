-- Grain: one row per identifier (card, account, token of a phone or openid) and period in which it was one member's.
{{ config(
    unique_key=['identifier_kind', 'identifier', 'valid_from'],
    scope={'columns': ['identifier_kind', 'identifier'], 'relation': 'int_members__touched_identifiers'},
    lookups=[['member_id'], ['identifier']],
) }}
-- depends_on: {{ ref('int_members__touched_identifiers') }}

with final as (
    select
        kind as identifier_kind,
        id as identifier,
        member_id,
        valid_from,
        valid_to,
        recorded_at
    from {{ ref('int_members__id_periods') }}
    union all
    select
        kind as identifier_kind,
        value as identifier,
        member_id,
        valid_from,
        valid_to,
        recorded_at
    from {{ ref('int_members__token_periods') }}
)

select * from final
