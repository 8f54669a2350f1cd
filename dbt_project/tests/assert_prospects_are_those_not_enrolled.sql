-- On each day a member is a prospect when it is known and has not enrolled, unless it is excluded.
with history as (
    select * from {{ ref('member_stage_history') }}
),

members as (
    select * from {{ ref('dim_member') }}
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
