-- Grain: one row per holder and lot: what was put into it. An entry that gives points and names no lot is one of its
-- own.
with movements as (
    select * from {{ ref('int_points__movements') }}
),

final as (
    select
        holder_id,
        coalesce(lot_id, entry_id) as lot_id,
        min(entered_at) as opened_at,
        min(business_date) as earned_on,
        sum(greatest(entered_points, 0)) as earned_points,
        sum(greatest(points, 0)) as points
    from movements
    -- a lot stays when all of it was reversed
    where entered_points > 0 or points > 0
    group by holder_id, coalesce(lot_id, entry_id)
)

select * from final
