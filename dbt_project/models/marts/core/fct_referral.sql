-- Grain: one row per member who brought another.
{{ config(
    unique_key=['referral_id'],
    scope={'columns': ['referral_id'], 'relation': 'int_facts__touched_referrals'},
    fed_by=['app__referrals'],
    lookups=[['referrer_identifier'], ['referee_identifier']],
) }}

with referrals as (
    select * from {{ ref('stg_app__referrals') }}
    where {{ in_scope_by_index('referral_id', 'int_facts__touched_referrals') }}
),

referrers as (
    {{ identified(
        'referrals', card='referrer_identifier', account='referrer_identifier', member='referrer_member_id'
    ) }}
),

identified as (
    {{ identified(
        'referrers', card='referee_identifier', account='referee_identifier', member='referee_member_id'
    ) }}
),

final as (
    select
        referral_id,
        referrer_member_id,
        referee_member_id,
        referrer_identifier,
        referee_identifier,
        coalesce(referrer_member_id, referrer_identifier) = coalesce(referee_member_id, referee_identifier) as is_self,
        referred_at,
        business_date
    from identified
)

select * from final
