-- Grain: one row per holder, entry that takes points and lot that it takes from. What names a lot takes from that one
-- first; the rest, in the order of entry, from the oldest lots that have points left. What no lot could give is
-- overdrawn.
{{ config(
    unique_key=['holder_id', 'entry_id', 'lot_id'],
    scope={'columns': ['holder_id'], 'relation': 'int_points__touched_holders'},
    lookups=[['business_date']],
) }}
-- depends_on: {{ ref('int_points__touched_holders') }}

with movements as (
    select * from {{ ref('int_points__movements') }}
),

lots as (
    select * from {{ ref('int_points__lots') }}
),

takes as (
    select
        holder_id,
        entry_id,
        entry_type,
        entered_at,
        lot_id,
        -points as points
    from movements
    where points < 0
),

named as (
    select
        takes.*,
        lots.points as lot_points,
        coalesce(
            sum(takes.points) over (
                partition by takes.holder_id, takes.lot_id
                order by takes.entered_at, takes.entry_id
                rows between unbounded preceding and 1 preceding
            ),
            0
        ) as taken_before
    from takes
    inner join lots on takes.holder_id = lots.holder_id and takes.lot_id = lots.lot_id
),

named_takings as (
    select
        holder_id,
        lot_id,
        entry_id,
        entry_type,
        least(points, greatest(lot_points - taken_before, 0)) as points
    from named
),

named_of_lots as (
    select
        holder_id,
        lot_id,
        sum(points) as points
    from named_takings
    group by holder_id, lot_id
),

-- points in a row, the oldest first: a lot ends at give_to
rows_of_lots as (
    select
        lots.holder_id,
        lots.lot_id,
        lots.points - coalesce(taken.points, 0) as points,
        sum(lots.points - coalesce(taken.points, 0)) over oldest_first as give_to
    from lots
    left join named_of_lots as taken on lots.holder_id = taken.holder_id and lots.lot_id = taken.lot_id
    window oldest_first as (
        partition by lots.holder_id order by lots.opened_at, lots.lot_id
        rows between unbounded preceding and current row
    )
),

-- and what is taken ends at take_to in the same row
rows_of_takes as (
    select
        takes.holder_id,
        takes.entry_id,
        takes.entry_type,
        takes.points - coalesce(named_takings.points, 0) as points,
        sum(takes.points - coalesce(named_takings.points, 0)) over in_order as take_to
    from takes
    left join named_takings on takes.entry_id = named_takings.entry_id
    window in_order as (
        partition by takes.holder_id order by takes.entered_at, takes.entry_id
        rows between unbounded preceding and current row
    )
),

oldest_takings as (
    select
        takes.holder_id,
        lots.lot_id,
        takes.entry_id,
        takes.entry_type,
        least(takes.take_to, lots.give_to)
        - greatest(takes.take_to - takes.points, lots.give_to - lots.points) as points
    from rows_of_takes as takes
    inner join rows_of_lots as lots
        on
            takes.holder_id = lots.holder_id
            and takes.take_to > lots.give_to - lots.points
            and takes.take_to - takes.points < lots.give_to
    where takes.points > 0 and lots.points > 0
),

holdings as (
    select
        holder_id,
        sum(points) as points
    from rows_of_lots
    group by holder_id
),

overdrawn as (
    select
        takes.holder_id,
        '(overdrawn)' as lot_id,
        takes.entry_id,
        takes.entry_type,
        least(takes.points, takes.take_to - coalesce(holdings.points, 0)) as points
    from rows_of_takes as takes
    left join holdings on takes.holder_id = holdings.holder_id
    where takes.points > 0 and takes.take_to > coalesce(holdings.points, 0)
),

parts as (
    select * from named_takings
    where points > 0
    union all
    select * from oldest_takings
    union all
    select * from overdrawn
),

final as (
    select
        parts.holder_id,
        parts.entry_id,
        parts.lot_id,
        movements.entry_type,
        movements.business_date,
        lots.earned_on,
        sum(parts.points)::bigint as points
    from parts
    inner join movements on parts.entry_id = movements.entry_id
    left join lots on parts.holder_id = lots.holder_id and parts.lot_id = lots.lot_id
    group by
        parts.holder_id,
        parts.entry_id,
        parts.lot_id,
        movements.entry_type,
        movements.business_date,
        lots.earned_on
)

select * from final
