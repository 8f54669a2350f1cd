-- Grain: one row per campaign and card or account that was put into it.
{{ config(
    unique_key=['campaign_id', 'identifier'],
    scope={'columns': ['campaign_id', 'identifier'], 'relation': 'int_facts__touched_assignments'},
    fed_by=['app__campaign_assignments'],
    lookups=[['identifier'], ['member_id']],
) }}

with assignments as (
    select * from {{ ref('stg_app__campaign_assignments') }}
    where {{ in_scope(['campaign_id', 'identifier'], 'int_facts__touched_assignments') }}
),

identified as (
    {{ identified('assignments', card='identifier', account='identifier') }}
),

final as (
    select
        campaign_id,
        identifier,
        member_id,
        arm,
        business_date
    from identified
)

select * from final
