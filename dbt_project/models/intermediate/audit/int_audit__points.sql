-- Grain: one row per reconciliation of the points ledger: two ways to the same number, and how far they are apart at
-- most. Of the holders whose entries changed; of days and months all.
with entries as (
    select
        holder_id,
        sum(points) as points
    from {{ ref('fct_points_entry') }}
    where {{ in_scope('holder_id', 'int_points__touched_holders') }}
    group by holder_id
),

lots as (
    select
        holder_id,
        sum(open_points) as points
    from {{ ref('points_lot') }}
    where {{ in_scope('holder_id', 'int_points__touched_holders') }}
    group by holder_id
),

holder_gaps as (
    select max(abs(coalesce(entries.points, 0) - coalesce(lots.points, 0))) as gap
    from entries
    full join lots on entries.holder_id = lots.holder_id
),

days as (
    select
        balance_points - lag(balance_points, 1, 0::bigint) over (order by business_date) as moved_points,
        issued_points - redeemed_points - expired_points + adjusted_points + reversed_points as entered_points
    from {{ ref('points_daily') }}
),

final as (
    select
        'open points of a holder are the sum of its entries' as reconciliation,
        coalesce((select gap from holder_gaps), 0)::numeric as gap
    union all
    select
        'the balance of a day is that of the day before and what was entered',
        coalesce((select max(abs(moved_points - entered_points)) from days), 0)
    union all
    select
        'points given in a month were redeemed, expired, deducted or are open',
        coalesce((
            select max(abs(issued_points - redeemed_points - expired_points - deducted_points - open_points))
            from {{ ref('points_cohort') }}
        ), 0)
)

select * from final
