-- Grain: one row per version of an account that this build looks at, as delivered last; the newest one is marked.
{{ config(indexes=[{'columns': ['account_id']}]) }}

with accounts as (
    select * from {{ ref('stg_app__accounts') }}
    where {{ in_scope_by_index('account_id', 'int_members__touched_accounts') }}
),

numbered as (
    select
        accounts.*,
        row_number() over (
            partition by account_id, changed_at order by _delivered_on desc, _batch_id desc, _line_no desc
        ) as delivery_no,
        rank() over (partition by account_id order by changed_at desc) as recency
    from accounts
),

final as (
    select
        account_id,
        changed_at,
        changed_on,
        created_at,
        created_on,
        enrolled_on,
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
        recency = 1 as is_newest
    from numbered
    where delivery_no = 1
)

select * from final
