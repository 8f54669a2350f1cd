-- Grain: one row per member card: its first enrolment up to the as-of date.
with enrolments as (
    {{ active_rows('pos', 'enrolments') }}
),

stores as (
    select * from {{ ref('stg_reference__stores') }}
),

building as (
    select as_of_date from {{ source('release', 'building') }}
),

dated as (
    select
        enrolments.card_no as member_id,
        {{ business_date(
            instant('enrolments.enrolled_at', "coalesce(stores.timezone, 'UTC')"),
            "coalesce(stores.timezone, 'UTC')",
            "coalesce(stores.day_cutoff, time '00:00')",
        ) }} as enrolled_on,
        enrolments.store_id as recruit_store_id,
        enrolments.staff_id as recruit_staff_id,
        enrolments.channel as recruit_channel,
        enrolments.method as recruit_method,
        enrolments._delivered_on,
        enrolments._batch_id,
        enrolments._line_no
    from enrolments
    left join stores on enrolments.store_id = stores.store_id
),

earliest as (
    select
        dated.*,
        row_number() over (
            partition by member_id order by enrolled_on, _delivered_on, _batch_id, _line_no
        ) as enrolment_no
    from dated
    where enrolled_on <= (select as_of_date from building)
),

final as (
    select
        member_id,
        enrolled_on,
        recruit_store_id,
        recruit_staff_id,
        recruit_channel,
        recruit_method
    from earliest
    where enrolment_no = 1
)

select * from final
