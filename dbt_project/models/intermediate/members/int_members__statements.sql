-- Grain: one row per card or account and period, end exclusive, in which it says the same of its holder.
-- An account says what its last version of the day does until the next; an enrolment what was on the slip, for ever.
{{ config(
    unique_key=['kind', 'id', 'valid_from'],
    scope={'columns': ['kind', 'id'], 'relation': 'int_members__touched_ids'},
    lookups=[['id']],
) }}

with versions as (
    select
        accounts.*,
        row_number() over (partition by account_id, changed_on order by changed_at desc) as recency
    from {{ ref('int_members__account_versions') }} as accounts
    where {{ in_scope(["'account'", 'account_id'], 'int_members__touched_ids', ['kind', 'id']) }}
),

final as (
    select
        'account' as kind,
        account_id as id,
        changed_on as valid_from,
        lead(changed_on, 1, date '9999-12-31') over (partition by account_id order by changed_on) as valid_to,
        has_name,
        has_verified_phone,
        has_verified_email,
        has_openid,
        has_gender,
        has_birthday,
        has_city,
        gender,
        birth_year,
        birth_month
    from versions
    where recency = 1
    union all
    select
        'card' as kind,
        card_no as id,
        enrolled_on as valid_from,
        date '9999-12-31' as valid_to,
        has_name,
        false as has_verified_phone,
        false as has_verified_email,
        false as has_openid,
        has_gender,
        has_birthday,
        has_city,
        gender,
        birth_year,
        birth_month
    from {{ ref('int_members__enrolments') }}
    where {{ in_scope(["'card'", 'card_no'], 'int_members__touched_ids', ['kind', 'id']) }}
)

select * from final
