-- Grain: one row per link of an account with a card, or of an account merged into another, as recorded.
with links as (
    {{ active_rows('app', 'identity_links') }}
),

final as (
    select
        links.account_id,
        links.card_no,
        nullif(links.survivor_account_id, links.account_id) as survivor_account_id,
        links.method,
        {{ app_instant('links.valid_from') }} as linked_at,
        {{ app_date('links.valid_from') }} as linked_from,
        {{ app_date('links.valid_to') }} as ended_on,
        {{ app_instant('links.recorded_at') }} as recorded_at,
        links._delivered_on,
        links._batch_id,
        links._line_no
    from links
)

select * from final
