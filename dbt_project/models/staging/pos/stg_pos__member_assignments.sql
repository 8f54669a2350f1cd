-- Grain: one row per assignment of a card to a store, as delivered.
with assignments as (
    {{ active_rows('pos', 'member_assignments') }}
),

final as (
    select
        card_no,
        service_store_id,
        service_staff_id,
        valid_from,
        _delivered_on,
        _batch_id,
        _line_no
    from assignments
)

select * from final
