-- Grain: one row per id that is a membership of its own: an enrolled card, or an account (enrolled or a prospect).
with cards as (
    select * from {{ ref('int_members__enrolments') }}
),

accounts as (
    select * from {{ ref('int_members__account_versions') }}
    where is_newest and {{ in_scope(["'account'", 'account_id'], 'int_members__touched_ids', ['kind', 'id']) }}
),

final as (
    select
        'card' as kind,
        card_no as id,
        enrolled_on as known_from,
        enrolled_on,
        enrolled_at as recorded_at,
        recruit_store_id,
        coalesce(recruit_store_id, 'not_fed') as service_store_id,
        recruit_channel,
        recruit_method
    from cards
    union all
    select
        'account' as kind,
        account_id as id,
        least(created_on, enrolled_on) as known_from,
        enrolled_on,
        created_at as recorded_at,
        case when enrolled_on is not null then 'APP' end as recruit_store_id,
        'APP' as service_store_id,
        case when enrolled_on is not null then 'app' end as recruit_channel,
        null as recruit_method
    from accounts
)

select * from final
