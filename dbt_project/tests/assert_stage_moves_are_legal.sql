-- Without returns, status changes or rule changes a member moves only along these arrows. From S01 and X anywhere: what
-- was bought before joining, or while excluded, counts at once.
with moves as (
    select
        history.member_id,
        history.valid_from,
        lag(history.stage_code) over (partition by history.member_id order by history.valid_from) as from_stage,
        history.stage_code as to_stage
    from {{ ref('int_lifecycle__stages') }} as history
    where {{ in_scope('history.member_id', 'int_lifecycle__touched_members') }}
),

legal (from_stage, to_stages) as (
    values
    ('S02', array['S03']),
    ('S03', array['S04', 'S08']),
    ('S04', array['S05', 'S06', 'S08']),
    ('S05', array['S04', 'S06', 'S08']),
    ('S06', array['S04', 'S05', 'S08']),
    ('S07', array['S04', 'S05', 'S06', 'S08']),
    ('S08', array['S04', 'S05', 'S06', 'S07', 'S09']),
    ('S09', array['S07', 'S10']),
    ('S10', array['S07'])
)

select moves.*
from moves
inner join legal on moves.from_stage = legal.from_stage
where
    moves.to_stage <> 'X'
    and moves.to_stage <> all(legal.to_stages)
    -- a return that takes a purchase day away may move a member anywhere
    and not exists (
        select 1 from {{ ref('fct_receipt') }} as receipts
        where receipts.member_id = moves.member_id and receipts.unqualified_on is not null
    )
