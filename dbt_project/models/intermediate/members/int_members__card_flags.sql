-- Grain: one row per member card that this build looks at, flag and business date: what the flag is from that day on.
with events as (
    select * from {{ ref('stg_pos__member_status') }}
    where {{ in_scope_by_index('card_no', 'int_members__touched_ids', 'id', "kind = 'card'") }}
),

enrolments as (
    select * from {{ ref('int_members__enrolments') }}
),

stores as (
    select * from {{ ref('stg_reference__stores') }}
),

building as (
    select as_of_date from {{ source('release', 'building') }}
),

-- a card's clock is that of the store that recruited its member
dated as (
    select
        events.card_no,
        events.flag,
        events.is_set,
        {{ business_date(
            instant('events.at', "coalesce(stores.timezone, 'UTC')"),
            "coalesce(stores.timezone, 'UTC')",
            "coalesce(stores.day_cutoff, time '00:00')",
        ) }} as changed_on,
        {{ instant('events.at', "coalesce(stores.timezone, 'UTC')") }} as changed_at,
        events._delivered_on,
        events._batch_id,
        events._line_no
    from events
    inner join enrolments on events.card_no = enrolments.card_no
    left join stores on enrolments.recruit_store_id = stores.store_id
),

last_of_day as (
    select
        dated.*,
        row_number() over (
            partition by card_no, flag, changed_on
            order by changed_at desc, _delivered_on desc, _batch_id desc, _line_no desc
        ) as recency
    from dated
    where changed_on <= (select as_of_date from building)
),

final as (
    select
        card_no,
        flag,
        changed_on,
        is_set
    from last_of_day
    where recency = 1
)

select * from final
