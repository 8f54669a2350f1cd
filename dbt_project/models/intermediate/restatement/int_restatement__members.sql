-- Grain: one row per member whose published past this build may have changed, cause and batch: receipts of days that
-- were over, another member that became it or ceased to be, and what was said of it late. A return is no such cause: it
-- changes nothing before its own day.
with final as (
    select
        member_id,
        cause,
        batch_id
    from {{ ref('int_restatement__purchase_days') }}
    where cause <> 'return'
    union
    select
        side.member_id,
        moves.cause,
        moves.batch_id
    from {{ ref('int_restatement__moves') }} as moves
    cross join lateral (values (moves.old_member_id), (moves.new_member_id)) as side (member_id)
    where moves.old_member_id <> moves.new_member_id
    union
    select
        member_id,
        cause,
        batch_id
    from {{ ref('int_restatement__statuses') }}
)

select * from final
