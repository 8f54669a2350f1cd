-- Grain: one row per week and store in which a member was counted otherwise before a restatement, at opening, at close
-- or in between, cause and batch.
{{ config(materialized='kept_view') }}

with members as (
    select * from {{ ref('int_restatement__members') }}
),

standings as (
    select * from {{ ref('int_restatement__standings') }}
),

moves as (
    {{ changes('int_kpi__moves', ['member_id', 'moved_on', 'before_store_id', 'after_store_id']) }}
),

stood as (
    select
        standings.member_id,
        standings.week_start,
        side.store_id
    from standings
    cross join
        lateral (
            values
            (standings.old_opening_store_id),
            (standings.new_opening_store_id),
            (standings.old_closing_store_id),
            (standings.new_closing_store_id)
        ) as side (store_id)
    union
    select
        moves.member_id,
        date_trunc('week', moves.moved_on::timestamp)::date as week_start,
        side.store_id
    from moves
    cross join lateral (values (moves.before_store_id), (moves.after_store_id)) as side (store_id)
),

final as (
    select distinct
        stood.week_start,
        stood.store_id,
        members.cause,
        members.batch_id
    from stood
    inner join members on stood.member_id = members.member_id
    where stood.store_id is not null
)

select * from final
