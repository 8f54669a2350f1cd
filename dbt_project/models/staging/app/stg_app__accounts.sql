-- Grain: one row per account that was created by the as-of date and version of it; the newest one is marked.
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
        accounts._delivered_on,
        accounts._batch_id,
        accounts._line_no
    from accounts
),

numbered as (
    select
        dated.*,
        row_number() over (
            partition by account_id, changed_at order by _delivered_on desc, _batch_id desc, _line_no desc
        ) as delivery_no,
        rank() over (partition by account_id order by changed_at desc) as recency
    from dated
    where created_on <= (select as_of_date from building)
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
        recency = 1 as is_newest
    from numbered
    where delivery_no = 1
)

select * from final
