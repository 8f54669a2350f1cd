-- Grain: one row per week, store and stage at its close that a member left or came to by a restatement, cause, batch.
{{ config(materialized='kept_view') }}

with final as (
    select distinct
        standings.week_start,
        side.store_id,
        side.stage_code,
        members.cause,
        members.batch_id
    from {{ ref('int_restatement__standings') }} as standings
    inner join {{ ref('int_restatement__members') }} as members on standings.member_id = members.member_id
    cross join
        lateral (
            values
            (standings.old_closing_store_id, standings.old_closing_stage_code),
            (standings.new_closing_store_id, standings.new_closing_stage_code)
        ) as side (store_id, stage_code)
    where
        side.stage_code is not null
        and (
            (standings.old_closing_store_id, standings.old_closing_stage_code)
            is distinct from (standings.new_closing_store_id, standings.new_closing_stage_code)
            or (standings.is_told_tier and members.cause = 'tier')
        )
)

select * from final
