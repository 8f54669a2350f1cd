-- Grain: one row per card that counts as nobody's, because it was entered so long after it took effect that a person
-- has to approve it.
-- the dates as they stand in the files find almost all that are not, in a fraction of the time
with delivered_late as (
    select enrolments.card_no
    from {{ source('raw', 'pos__enrolments') }} as enrolments
    inner join {{ source('ops', 'batch') }} as batch
        on enrolments._batch_id = batch.batch_id and batch.state = 'loaded'
    where
        batch.business_date - left(enrolments.enrolled_at::text, 10)::date
        > {{ lifecycle_parameter('backdating_days') }} - 2
        and batch.business_date > (
            select min(first_batch.business_date)
            from {{ source('ops', 'batch') }} as first_batch
            where first_batch.source = 'pos' and first_batch.feed = 'enrolments' and first_batch.state = 'loaded'
        )
),

entries as (
    select * from {{ ref('stg_pos__enrolment_entries') }}
    where card_no = any(array(select card_no from delivered_late))
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
