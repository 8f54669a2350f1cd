-- Grain: one row per member and epoch: a stretch of days, end exclusive, over which the same past purchase days
-- count. Most members have one; each day on which a return takes a purchase day away begins another.
with members as (
    select * from {{ ref('int_members__members') }}
    where {{ in_scope('member_id', 'int_lifecycle__touched_members') }}
),

cuts as (
    select distinct
        days.member_id,
        days.counted_until as epoch_from
    from {{ ref('int_members__days') }} as days
    inner join members on days.member_id = members.member_id
    where days.counted_until < date '9999-12-31'
    union all
    select
        member_id,
        date '0001-01-01' as epoch_from
    from members
),

final as (
    select
        member_id,
        epoch_from,
        lead(epoch_from, 1, date '9999-12-31') over (partition by member_id order by epoch_from) as epoch_to
    from cuts
)

select * from final
