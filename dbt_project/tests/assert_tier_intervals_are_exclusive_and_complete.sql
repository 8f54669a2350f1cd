-- A member's tier intervals have a length and do not overlap; from enrolment on there is no gap, and the last one is
-- open unless the member was merged away.
with intervals as (
    select
        history.*,
        lead(history.valid_from) over (partition by history.member_id order by history.valid_from) as next_from
    from {{ ref('tier_history') }} as history
),

members as (
    select * from {{ ref('int_members__members') }}
    where enrolled_on < coalesce(merged_on, date '9999-12-31')
)

select
    coalesce(intervals.member_id, members.member_id) as member_id,
    intervals.valid_from,
    intervals.valid_to
from members
full join intervals on members.member_id = intervals.member_id
where
    intervals.valid_from >= intervals.valid_to
    or intervals.valid_to > intervals.next_from
    or (
        members.member_id is not null
        and (
            intervals.member_id is null
            or (
                intervals.valid_to >= members.enrolled_on
                and intervals.valid_to <> coalesce(intervals.next_from, members.merged_on, date '9999-12-31')
            )
        )
    )
