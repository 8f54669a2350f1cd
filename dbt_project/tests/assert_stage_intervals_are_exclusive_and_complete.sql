-- A member's intervals follow one another without gap or overlap, from the day it is known, and the last one is open.
with intervals as (
    select
        history.*,
        lead(history.valid_from) over (partition by history.member_id order by history.valid_from) as next_from,
        min(history.valid_from) over (partition by history.member_id) as first_from
    from {{ ref('member_stage_history') }} as history
)

select
    members.member_id,
    intervals.valid_from,
    intervals.valid_to
from {{ ref('int_members__members') }} as members
left join intervals on members.member_id = intervals.member_id
where
    intervals.member_id is null
    or intervals.first_from <> members.known_from
    or intervals.valid_to <> coalesce(intervals.next_from, date '9999-12-31')
    or intervals.valid_to <= intervals.valid_from
