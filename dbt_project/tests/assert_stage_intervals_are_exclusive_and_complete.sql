-- A member's intervals follow one another without gap or overlap, from the day it is known, and the last one is open.
with members as (
    select * from {{ ref('int_members__members') }}
    where {{ in_scope('member_id', 'int_lifecycle__touched_members') }}
),

intervals as (
    select
        stages.*,
        lead(stages.valid_from) over (partition by stages.member_id order by stages.valid_from) as next_from,
        min(stages.valid_from) over (partition by stages.member_id) as first_from
    from {{ ref('int_lifecycle__stages') }} as stages
    where {{ in_scope('stages.member_id', 'int_lifecycle__touched_members') }}
)

select
    coalesce(members.member_id, intervals.member_id) as member_id,
    intervals.valid_from,
    intervals.valid_to
from members
full join intervals on members.member_id = intervals.member_id
where
    intervals.member_id is null
    or members.member_id is null
    or intervals.first_from <> members.known_from
    or intervals.valid_to <> coalesce(intervals.next_from, date '9999-12-31')
    or intervals.valid_to <= intervals.valid_from
