-- Grain: one row per account whose versions this build looks at: those touched, and those that share a token with one.
{{ config(indexes=[{'columns': ['account_id']}]) }}

with ids as (
    select * from {{ ref('int_members__touched_ids') }}
),

tokens as (
    select * from {{ ref('int_members__touched_tokens') }}
),

accounts as not materialized (
    select * from {{ source('raw', 'app__accounts') }}
),

final as (
    select id as account_id from ids
    where kind = 'account'
    union
    select accounts.account_id
    from accounts
    inner join tokens on accounts.phone_token = tokens.value and tokens.kind = 'phone_token'
    union
    select accounts.account_id
    from accounts
    inner join tokens on accounts.wechat_openid_token = tokens.value and tokens.kind = 'openid_token'
)

select * from final
