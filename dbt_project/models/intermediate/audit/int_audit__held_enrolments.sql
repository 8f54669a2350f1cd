-- Grain: one row per card that counts as nobody's, because it was entered so long after it took effect that a person
-- has to approve it.
with entries as (
    select * from {{ ref('stg_pos__enrolment_entries') }}
),

final as (
    select
        card_no,
        min(enrolled_on) as enrolled_on,
        min(_delivered_on) as delivered_on,
        min(store_id) as store_id
    from entries
    group by card_no
    having bool_and(is_held)
)

select * from final
