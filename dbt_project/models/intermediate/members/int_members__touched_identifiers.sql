-- Grain: one row per identifier that this build looks at anew: the scope of bridge_identity.
with final as (
    select
        kind as identifier_kind,
        id as identifier
    from {{ ref('int_members__touched_ids') }}
    union all
    select
        kind as identifier_kind,
        value as identifier
    from {{ ref('int_members__touched_tokens') }}
)

select * from final
