-- Grain: one row per enrolment as delivered, up to the as-of date. One that was entered long after it took effect is
-- held until it is approved; what the first delivery of all brings are the members from before, and is not.
with enrolments as (
    {{ active_rows('pos', 'enrolments') }}
),

stores as (
    select * from {{ ref('stg_reference__stores') }}
),

approvals as (
    select card_no from {{ ref('approved_enrolments') }}
    union
    select card_no from {{ source('ops', 'erased_approval') }}
),

building as (
    select as_of_date from {{ source('release', 'building') }}
),

dated as (
    select
        enrolments.card_no,
        {{ instant('enrolments.enrolled_at', "coalesce(stores.timezone, 'UTC')") }} as enrolled_at,
        {{ business_date(
            instant('enrolments.enrolled_at', "coalesce(stores.timezone, 'UTC')"),
            "coalesce(stores.timezone, 'UTC')",
            "coalesce(stores.day_cutoff, time '00:00')",
        ) }} as enrolled_on,
        enrolments.store_id,
        enrolments.staff_id,
        enrolments.channel,
        enrolments.method,
        enrolments.phone_token,
        enrolments.name_token is not null as has_name,
        {{ is_told('enrolments.gender') }} as has_gender,
        births.birth_month is not null as has_birthday,
        {{ is_told('enrolments.city') }} as has_city,
        {{ gender('enrolments.gender') }} as gender,
        births.birth_year,
        births.birth_month,
        (
            select min(first_batch.business_date)
            from {{ source('ops', 'batch') }} as first_batch
            where
                first_batch.source = 'pos'
                and first_batch.feed = 'enrolments'
                and first_batch.state = 'loaded'
                and first_batch.rows_loaded > 0
        ) as first_delivered_on,
        enrolments._delivered_on,
        enrolments._batch_id,
        enrolments._line_no
    from enrolments
    left join stores on enrolments.store_id = stores.store_id
    left join {{ source('vault', 'birth_month') }} as births on enrolments.birthday_token = births.token
),

final as (
    select
        dated.card_no,
        dated.enrolled_at,
        dated.enrolled_on,
        dated.store_id,
        dated.staff_id,
        dated.channel,
        dated.method,
        dated.phone_token,
        dated.has_name,
        dated.has_gender,
        dated.has_birthday,
        dated.has_city,
        dated.gender,
        dated.birth_year,
        dated.birth_month,
        coalesce(
            dated._delivered_on > dated.first_delivered_on
            and dated._delivered_on - dated.enrolled_on > {{ lifecycle_parameter('backdating_days') }}
            and approvals.card_no is null,
            false
        ) as is_held,
        dated._delivered_on,
        dated._batch_id,
        dated._line_no
    from dated
    left join approvals on dated.card_no = approvals.card_no
    where dated.enrolled_on <= (select as_of_date from building)
)

select * from final
