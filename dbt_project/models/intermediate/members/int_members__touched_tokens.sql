-- Grain: one row per token of a phone or an openid that was ever seen with a card or account that this build looks at.
{{ config(indexes=[{'columns': ['value']}]) }}

with ids as (
    select * from {{ ref('int_members__touched_ids') }}
),

enrolments as (
    select enrolments.phone_token
    from {{ source('raw', 'pos__enrolments') }} as enrolments
    inner join ids on enrolments.card_no = ids.id and ids.kind = 'card'
),

accounts as (
    select
        accounts.phone_token,
        accounts.wechat_openid_token
    from {{ source('raw', 'app__accounts') }} as accounts
    inner join ids on accounts.account_id = ids.id and ids.kind = 'account'
),

final as (
    select
        'phone_token' as kind,
        phone_token as value
    from enrolments
    where phone_token is not null
    union
    select
        'phone_token' as kind,
        phone_token as value
    from accounts
    where phone_token is not null
    union
    select
        'openid_token' as kind,
        wechat_openid_token as value
    from accounts
    where wechat_openid_token is not null
)

select * from final
