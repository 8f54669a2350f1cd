-- Grain: one row per kind of period, period and service store: members who came to it, left it or moved between stores.
-- Newcomers in their store at the close, who left in the store at the opening, transfers in the stores of the day.
with periods as (
    select * from {{ ref('int_kpi__periods') }}
    where {{ in_scope(['period_type', 'period_start'], 'int_kpi__scope_periods') }}
),

moves as (
    select
        periods.period_type,
        periods.period_start,
        periods.closing_on,
        moves.member_id,
        moves.movement,
        moves.before_store_id,
        moves.after_store_id
    from periods
    inner join {{ ref('int_kpi__moves') }} as moves
        on periods.period_start <= moves.moved_on and periods.closing_on >= moves.moved_on
    where moves.movement in ('enrolled', 'transferred')
),

counts as (
    select
        moves.period_type,
        moves.period_start,
        stores.store_id,
        count(*) as new_members,
        0 as net_transfers,
        0 as churned_lapse,
        0 as churned_closed
    from moves
    inner join {{ ref('int_members__service_stores') }} as stores
        on
            moves.member_id = stores.member_id
            and moves.closing_on >= stores.valid_from
            and moves.closing_on < stores.valid_to
    where moves.movement = 'enrolled'
    group by moves.period_type, moves.period_start, stores.store_id
    union all
    select
        moves.period_type,
        moves.period_start,
        side.store_id,
        0,
        sum(side.members),
        0,
        0
    from moves
    cross join lateral (values (moves.before_store_id, -1), (moves.after_store_id, 1)) as side (store_id, members)
    where moves.movement = 'transferred'
    group by moves.period_type, moves.period_start, side.store_id
    union all
    select
        periods.period_type,
        periods.period_start,
        churned.store_id,
        0,
        0,
        count(*) filter (where churned.churned_by = 'lapse'),
        count(*) filter (where churned.churned_by = 'closed')
    from periods
    inner join {{ ref('int_kpi__churned') }} as churned
        on
            periods.period_type = churned.period_type
            and periods.period_start = churned.period_start
            and periods.closing_on >= churned.churned_on
    group by periods.period_type, periods.period_start, churned.store_id
),

final as (
    select
        period_type,
        period_start,
        store_id,
        sum(new_members) as new_members,
        sum(net_transfers) as net_transfers,
        sum(churned_lapse) as churned_lapse,
        sum(churned_closed) as churned_closed
    from counts
    group by period_type, period_start, store_id
)

select * from final
