-- Grain: one row per card and account that belongs to a member at the close of the as-of date: to which one, since
-- when links lead to it, and when the last of these links was recorded.
-- Ids that links in force connect are one member. It is known by its earliest enrolled card, else by its account; by
-- one that was merged away only if there is no other.
with recursive edges as (
    select * from {{ ref('int_members__edges') }}
),

ids as (
    select * from {{ ref('int_members__ids') }}
),

merged_away as (
    select * from {{ ref('int_members__merged_away') }}
),

reached as (
    select
        kind,
        id,
        kind as reached_kind,
        id as reached_id
    from edges
    union
    select
        reached.kind,
        reached.id,
        edges.other_kind,
        edges.other_id
    from reached
    inner join edges on reached.reached_kind = edges.kind and reached.reached_id = edges.id
),

named as (
    select distinct on (reached.kind, reached.id)
        reached.kind,
        reached.id,
        ids.kind as member_kind,
        ids.id as member_id
    from reached
    inner join ids on reached.reached_kind = ids.kind and reached.reached_id = ids.id
    left join merged_away on ids.kind = merged_away.kind and ids.id = merged_away.id
    order by
        reached.kind asc,
        reached.id asc,
        (merged_away.id is not null) asc,
        (ids.kind = 'account') asc,
        ids.enrolled_on asc nulls last,
        ids.known_from asc,
        ids.id asc
),

-- from the id by which the member is known along the links: a chain of them holds since its last one began
trails as (
    select distinct
        member_kind,
        member_id,
        member_kind as kind,
        member_id as id,
        date '0001-01-01' as joined_on,
        timestamptz '0001-01-01 00:00+00' as recorded_at
    from named
    union
    select
        trails.member_kind,
        trails.member_id,
        edges.other_kind,
        edges.other_id,
        greatest(trails.joined_on, edges.linked_from),
        greatest(trails.recorded_at, edges.recorded_at)
    from trails
    inner join edges on trails.kind = edges.kind and trails.id = edges.id
),

joined as (
    select distinct on (kind, id)
        kind,
        id,
        member_kind,
        member_id,
        joined_on,
        recorded_at
    from trails
    where (kind, id) <> (member_kind, member_id)
    order by kind asc, id asc, joined_on asc, recorded_at asc
),

final as (
    select
        coalesce(joined.kind, ids.kind) as kind,
        coalesce(joined.id, ids.id) as id,
        coalesce(joined.member_id, ids.id) as member_id,
        joined.id is null as is_known_by_it,
        joined.joined_on,
        coalesce(joined.recorded_at, ids.recorded_at) as recorded_at,
        merged_away.id is not null and joined.id is not null as is_merged_away
    from joined
    full join ids on joined.kind = ids.kind and joined.id = ids.id
    left join merged_away
        on coalesce(joined.kind, ids.kind) = merged_away.kind and coalesce(joined.id, ids.id) = merged_away.id
)

select * from final
