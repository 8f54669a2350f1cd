-- Grain: one row per member and epoch: a stretch of days, end exclusive, over which the same past purchase days
-- count. Most members have one; each day on which a return takes a purchase day away begins another.
with members as (
    select * from {{ ref('int_members__members') }}
),

cuts as (
    select distinct
        member_id,
        until_on as epoch_from
    from {{ ref('int_lifecycle__purchase_days') }}
    where until_on < date '9999-12-31'
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
