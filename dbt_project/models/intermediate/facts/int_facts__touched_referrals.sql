-- Grain: one row per referral that may differ from the highest published release: it was delivered or replaced
-- since, or its card or account is another member's now.
with delivered as (
    {{ changed_rows('app', 'referrals', ['fed.referral_id']) }}
),

moved as (
    select * from {{ ref('int_facts__moved_identifiers') }}
),

published as not materialized (
    {{ published_rows('fct_referral', {
        'referral_id': 'text', 'referrer_identifier': 'text', 'referee_identifier': 'text',
    }) }}
),

final as (
    select referral_id from delivered
    union
    select published.referral_id from published
    inner join moved on published.referrer_identifier = moved.identifier
    union
    select published.referral_id from published
    inner join moved on published.referee_identifier = moved.identifier
)

select * from final
