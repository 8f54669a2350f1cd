-- Grain: one row per card or account, benefit and moment at which it was used.
{{ config(
    unique_key=['identifier', 'benefit', 'used_at'],
    scope={'columns': ['identifier'], 'relation': 'int_facts__touched_benefit_uses'},
    fed_by=['app__benefit_uses'],
    lookups=[['identifier'], ['account_id'], ['member_id']],
) }}

with uses as (
    select * from {{ ref('stg_app__benefit_uses') }}
    where {{ in_scope('identifier', 'int_facts__touched_benefit_uses') }}
),

identified as (
    {{ identified('uses') }}
),

final as (
    select
        identifier,
        card_no,
        account_id,
        member_id,
        benefit,
        cost::numeric(14, 2) as cost_amount,
        used_at,
        business_date
    from identified
)

select * from final
