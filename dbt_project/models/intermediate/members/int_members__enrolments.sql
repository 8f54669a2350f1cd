-- Grain: one row per member card that this build looks at: its first enrolment that counts.
{{ config(indexes=[{'columns': ['card_no']}]) }}

with entries as (
    select * from {{ ref('stg_pos__enrolment_entries') }}
    where not is_held and {{ in_scope_by_index('card_no', 'int_members__touched_ids', 'id', "kind = 'card'") }}
),

earliest as (
    select
        entries.*,
        row_number() over (
            partition by card_no order by enrolled_on, _delivered_on, _batch_id, _line_no
        ) as enrolment_no
    from entries
),

final as (
    select
        card_no,
        enrolled_at,
        enrolled_on,
        store_id as recruit_store_id,
        staff_id as recruit_staff_id,
        channel as recruit_channel,
        method as recruit_method,
        has_name,
        has_gender,
        has_birthday,
        has_city,
        gender,
        birth_year,
        birth_month,
        _delivered_on as entered_on
    from earliest
    where enrolment_no = 1
)

select * from final
