-- Grain: one row per change of a card's status, as delivered.
with events as (
    {{ active_rows('pos', 'member_status') }}
),

final as (
    select
        card_no,
        case
            when status in ('closed', 'reopened') then 'closed'
            when status in ('blocked', 'unblocked') then 'blocked'
            when status in ('staff', 'not_staff') then 'staff'
            else status
        end as flag,
        status in ('closed', 'blocked', 'staff', 'test') as is_set,
        at,
        _delivered_on,
        _batch_id,
        _line_no
    from events
)

select * from final
