-- Grain: one row per link of an account with a card, or of an account merged into another, that began by the as-of
-- date, as it was recorded last. A link that ends when it begins was taken back and never was.
with links as (
    {{ active_rows('app', 'identity_links') }}
),

building as (
    select as_of_date from {{ source('release', 'building') }}
),

dated as (
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
),

newest as (
    select
        dated.*,
        row_number() over (
            partition by account_id, card_no, linked_at
            order by recorded_at desc, _delivered_on desc, _batch_id desc, _line_no desc
        ) as recency
    from dated
),

final as (
    select
        newest.account_id,
        newest.card_no,
        newest.survivor_account_id,
        newest.method,
        newest.linked_from,
        -- an end that lies ahead is not known yet
        case when newest.ended_on <= building.as_of_date then newest.ended_on else date '9999-12-31' end as linked_to,
        (newest.ended_on <= building.as_of_date) is not true as is_in_force,
        newest.recorded_at
    from newest
    cross join building
    where
        newest.recency = 1
        and newest.linked_from <= building.as_of_date
        and (newest.ended_on <= newest.linked_from) is not true
)

select * from final
