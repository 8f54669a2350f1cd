-- The periods of one identifier have a length and do not overlap: on no day is it two members'.
with periods as (
    select
        bridge.*,
        lag(bridge.valid_to) over (
            partition by bridge.identifier_kind, bridge.identifier order by bridge.valid_from
        ) as valid_to_before
    from {{ ref('bridge_identity') }} as bridge
    where {{ in_scope(
        ['bridge.identifier_kind', 'bridge.identifier'], 'int_members__touched_identifiers'
    ) }}
)

select
    identifier_kind,
    identifier,
    valid_from,
    valid_to
from periods
where valid_from >= valid_to or valid_from < valid_to_before
