-- Grain: one row per member, kind of period and period in which it leaves those who bought within a year, by the first
-- of the two ways of doing so; past and future. Counted in the store that looked after it when the period began.
{{ config(
    unique_key=['member_id', 'period_type', 'period_start'],
    scope={'columns': ['member_id'], 'relation': 'int_lifecycle__touched_members'},
    lookups=[['period_type', 'period_start']],
) }}

with moves as (
    select * from {{ ref('int_kpi__moves') }}
    where {{ in_scope('member_id', 'int_lifecycle__touched_members') }}
),

leavings as (
    select
        moves.member_id,
        kind.period_type,
        date_trunc(kind.period_type, moves.moved_on::timestamp)::date as period_start,
        min(moves.moved_on) filter (where moves.after_is_closed and moves.before_is_closed is distinct from true)
            as closed_on,
        min(moves.moved_on) filter (where moves.after_is_lapsed and moves.before_is_lapsed is distinct from true)
            as lapsed_on
    from moves
    cross join unnest(array['week', 'month', 'quarter', 'year']) as kind (period_type)
    where
        (moves.after_is_closed and moves.before_is_closed is distinct from true)
        or (moves.after_is_lapsed and moves.before_is_lapsed is distinct from true)
    group by moves.member_id, kind.period_type, date_trunc(kind.period_type, moves.moved_on::timestamp)
),

openings as (
    select
        leavings.*,
        opening.after_stage_code as opening_stage_code,
        opening.after_store_id as store_id
    from leavings
    cross join
        lateral (
            select
                moves.after_stage_code,
                moves.after_store_id
            from {{ ref('int_kpi__moves') }} as moves
            where moves.member_id = leavings.member_id and moves.moved_on < leavings.period_start
            order by moves.moved_on desc
            limit 1
        ) as opening
),

final as (
    select
        member_id,
        period_type,
        period_start,
        store_id,
        least(closed_on, lapsed_on) as churned_on,
        -- on the same day by closing
        case when closed_on <= coalesce(lapsed_on, closed_on) then 'closed' else 'lapse' end as churned_by
    from openings
    where {{ is_churn_base_stage('opening_stage_code') }}
)

select * from final
