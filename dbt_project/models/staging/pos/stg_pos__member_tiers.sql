-- Grain: one row per tier of a card as landed, that began by the as-of date; one that was sent twice is here twice.
with tiers as (
    {{ active_rows('pos', 'member_tiers') }}
),

building as (
    select as_of_date from {{ source('release', 'building') }}
),

final as (
    select
        card_no,
        tier,
        valid_from,
        reason,
        _delivered_on,
        _batch_id,
        _line_no
    from tiers
    where valid_from <= (select as_of_date from building)
)

select * from final
