-- Grain: one row per holder and lot of points, as of the as-of date. Open points of all lots are the sum of all
-- entries.
{{ config(
    unique_key=['holder_id', 'lot_id'],
    scope={'columns': ['holder_id'], 'relation': 'int_points__touched_holders'},
    fed_by=['app__points_entries'],
    lookups=[['member_id'], ['earned_on']],
) }}

with given as (
    select * from {{ ref('int_points__lots') }}
),

takings as (
    select * from {{ ref('int_points__takings') }}
    where {{ in_scope('holder_id', 'int_points__touched_holders') }}
),

holders as (
    select distinct
        holder_id,
        member_id
    from {{ ref('fct_points_entry') }}
    where member_id is not null and {{ in_scope('holder_id', 'int_points__touched_holders') }}
),

taken as (
    select
        holder_id,
        lot_id,
        coalesce(sum(points) filter (where entry_type = 'redeem'), 0) as redeemed_points,
        coalesce(sum(points) filter (where entry_type = 'expire'), 0) as expired_points,
        coalesce(sum(points) filter (where entry_type not in ('redeem', 'expire')), 0) as deducted_points
    from takings
    group by holder_id, lot_id
),

lots as (
    select
        coalesce(given.holder_id, taken.holder_id) as holder_id,
        coalesce(given.lot_id, taken.lot_id) as lot_id,
        given.earned_on,
        coalesce(given.earned_points, 0) as earned_points,
        coalesce(given.earned_points - given.points, 0) as reversed_points,
        coalesce(taken.redeemed_points, 0) as redeemed_points,
        coalesce(taken.expired_points, 0) as expired_points,
        coalesce(taken.deducted_points, 0) as deducted_points,
        given.lot_id is null as is_overdrawn
    from given
    full join taken on given.holder_id = taken.holder_id and given.lot_id = taken.lot_id
),

final as (
    select
        lots.holder_id,
        lots.lot_id,
        holders.member_id,
        lots.earned_on,
        -- to the end of the month in which the last of its months ends
        (
            date_trunc('month', lots.earned_on) + make_interval(months => rules.expiry_months + 1) - interval '1 day'
        )::date as expires_on,
        lots.earned_points::bigint as earned_points,
        lots.reversed_points::bigint as reversed_points,
        lots.redeemed_points::bigint as redeemed_points,
        lots.expired_points::bigint as expired_points,
        lots.deducted_points::bigint as deducted_points,
        (
            lots.earned_points - lots.reversed_points - lots.redeemed_points - lots.expired_points
            - lots.deducted_points
        )::bigint as open_points,
        lots.is_overdrawn
    from lots
    left join holders on lots.holder_id = holders.holder_id
    left join {{ ref('points_rule') }} as rules
        on lots.earned_on >= rules.valid_from and lots.earned_on < rules.valid_to
)

select * from final
