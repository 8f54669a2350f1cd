-- On each day a member is a prospect when it is known and has not enrolled, unless it is excluded.
with history as (
    select * from {{ ref('int_lifecycle__stages') }}
    where {{ in_scope('member_id', 'int_lifecycle__touched_members') }}
),

members as (
    select * from {{ ref('int_members__members') }}
    where {{ in_scope('member_id', 'int_lifecycle__touched_members') }}
)

select
    history.member_id,
    history.stage_code,
    history.valid_from
from history
inner join members on history.member_id = members.member_id
where
    history.stage_code <> 'X'
    and (
        (history.stage_code = 'S01' and history.valid_from >= members.enrolled_on)
        or (history.stage_code <> 'S01' and (history.valid_from >= members.enrolled_on) is not true)
    )
