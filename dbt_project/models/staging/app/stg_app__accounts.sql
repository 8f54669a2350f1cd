-- Grain: one row per account that was created by the as-of date and version of it, as delivered.
-- Versions count whenever they were written: what they say is dated by itself.
with accounts as (
    {{ active_rows('app', 'accounts') }}
),

building as (
    select as_of_date from {{ source('release', 'building') }}
),

dated as (
    select
        accounts.account_id,
        {{ app_instant('accounts.created_at') }} as created_at,
        {{ app_date('accounts.created_at') }} as created_on,
        {{ app_instant('accounts.updated_at') }} as changed_at,
        {{ app_date('accounts.updated_at') }} as changed_on,
        {{ app_date('accounts.member_since') }} as member_since_on,
        accounts.status,
        {{ app_date('coalesce(accounts.status_at, accounts.updated_at)') }} as status_on,
        accounts.phone_token,
        accounts.wechat_openid_token as openid_token,
        accounts.phone_verified,
        accounts.name_token is not null as has_name,
        accounts.phone_token is not null and coalesce(accounts.phone_verified, false) as has_verified_phone,
        accounts.email_token is not null and coalesce(accounts.email_verified, false) as has_verified_email,
        accounts.wechat_openid_token is not null as has_openid,
        {{ is_told('accounts.gender') }} as has_gender,
        births.birth_month is not null as has_birthday,
        {{ is_told('accounts.city') }} as has_city,
        {{ gender('accounts.gender') }} as gender,
        births.birth_year,
        births.birth_month,
        accounts._delivered_on,
        accounts._batch_id,
        accounts._line_no
    from accounts
    left join {{ source('vault', 'birth_month') }} as births on accounts.birthday_token = births.token
),

final as (
    select
        account_id,
        changed_at,
        changed_on,
        created_at,
        created_on,
        -- not enrolled until the day has come
        case when member_since_on <= (select as_of_date from building) then member_since_on end as enrolled_on,
        status,
        status_on,
        phone_token,
        openid_token,
        phone_verified,
        has_name,
        has_verified_phone,
        has_verified_email,
        has_openid,
        has_gender,
        has_birthday,
        has_city,
        gender,
        birth_year,
        birth_month,
        _delivered_on,
        _batch_id,
        _line_no
    from dated
    where created_on <= (select as_of_date from building)
)

select * from final
