-- Grain: one row per week, stage at opening (NEW: not yet a member) and at close that a member left or came to by a
-- restatement, cause and batch.
{{ config(materialized='kept_view') }}

with final as (
    select distinct
        standings.week_start,
        coalesce(side.opening_stage_code, 'NEW') as from_stage,
        side.closing_stage_code as to_stage,
        members.cause,
        members.batch_id
    from {{ ref('int_restatement__standings') }} as standings
    inner join {{ ref('int_restatement__members') }} as members on standings.member_id = members.member_id
    cross join
        lateral (
            values
            (standings.old_opening_stage_code, standings.old_closing_stage_code),
            (standings.new_opening_stage_code, standings.new_closing_stage_code)
        ) as side (opening_stage_code, closing_stage_code)
    where
        side.closing_stage_code is not null
        and (standings.old_opening_stage_code, standings.old_closing_stage_code)
        is distinct from (standings.new_opening_stage_code, standings.new_closing_stage_code)
)

select * from final
