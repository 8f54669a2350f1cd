-- Grain: one row per card or account that on some day is another member's than the highest published release has it.
-- None in a full build, which takes no scope.
with changes as (
    {{ changes('bridge_identity', ['identifier_kind', 'identifier']) }}
),

final as (
    select distinct identifier
    from changes
    where
        identifier_kind in ('card', 'account')
        and not (select building.is_full from {{ source('release', 'building') }} as building)
)

select * from final
