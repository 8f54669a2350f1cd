-- Grain: one row per card or account, purpose, channel and moment at which consent was given or taken back.
{{ config(
    unique_key=['identifier', 'purpose', 'channel', 'stated_at'],
    scope={'columns': ['identifier'], 'relation': 'int_facts__touched_consents'},
    fed_by=['app__consents'],
    lookups=[['identifier'], ['account_id'], ['member_id']],
) }}

with consents as (
    select * from {{ ref('stg_app__consents') }}
    where {{ in_scope('identifier', 'int_facts__touched_consents') }}
),

identified as (
    {{ identified('consents') }}
),

final as (
    select
        identifier,
        card_no,
        account_id,
        member_id,
        purpose,
        channel,
        is_granted,
        stated_at,
        business_date
    from identified
)

select * from final
