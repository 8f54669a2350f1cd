-- Grain: one row per entry of the points ledger up to the as-of date.
with entries as (
    {{ active_rows('app', 'points_entries') }}
),

building as (
    select as_of_date from {{ source('release', 'building') }}
),

final as (
    select
        entries.entry_id,
        entries.account_id,
        entries.card_no,
        entries.type as entry_type,
        entries.points,
        entries.lot_id,
        {{ referred_receipt('entries') }} as receipt_id,
        entries.reversed_entry_id,
        {{ app_instant('entries.at') }} as entered_at,
        {{ app_date('entries.at') }} as business_date
    from entries
    where {{ app_date('entries.at') }} <= (select as_of_date from building)
)

select * from final
