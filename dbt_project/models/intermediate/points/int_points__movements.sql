-- Grain: one row per entry of a touched holder that does not reverse another of its entries, with what the entry comes
-- to once those that reverse it are taken off: as if that part had never been entered. An entry that reverses what is
-- not there counts as itself.
with recursive entries as (
    select * from {{ ref('fct_points_entry') }}
    where {{ in_scope('holder_id', 'int_points__touched_holders') }}
),

undone as (
    select
        reversals.holder_id,
        reversals.entry_id,
        named.entry_id as named_entry_id
    from entries as reversals
    inner join entries as named
        on
            reversals.holder_id = named.holder_id
            and reversals.reversed_entry_id = named.entry_id
            and reversals.entry_id <> named.entry_id
    where reversals.entry_type = 'reverse'
),

-- a reversal may be reversed in its turn
trails as (
    select
        holder_id,
        entry_id,
        named_entry_id
    from undone
    union
    select
        trails.holder_id,
        trails.entry_id,
        undone.named_entry_id
    from trails
    inner join undone on trails.named_entry_id = undone.entry_id
),

reversals as (
    select
        trails.entry_id,
        trails.named_entry_id as reversed_entry_id,
        entries.points
    from trails
    inner join entries on trails.entry_id = entries.entry_id
    left join undone on trails.named_entry_id = undone.entry_id
    where undone.entry_id is null
),

reversed_points as (
    select
        reversed_entry_id,
        sum(points) as points
    from reversals
    group by reversed_entry_id
),

final as (
    select
        entries.holder_id,
        entries.entry_id,
        entries.entry_type,
        entries.entered_at,
        entries.business_date,
        entries.lot_id,
        entries.points as entered_points,
        entries.points + coalesce(reversed_points.points, 0) as points
    from entries
    left join reversed_points on entries.entry_id = reversed_points.reversed_entry_id
    left join reversals on entries.entry_id = reversals.entry_id
    where reversals.entry_id is null
)

select * from final
