-- Grain: one row per campaign and card or account whose assignment may differ from the highest published release: it
-- was delivered or replaced since, or the card or account is another member's now.
with delivered as (
    {{ changed_rows('app', 'campaign_assignments', ['fed.campaign_id', 'fed.member as identifier']) }}
),

moved as (
    select * from {{ ref('int_facts__moved_identifiers') }}
),

published as not materialized (
    {{ published_rows('fct_campaign_assignment', {'campaign_id': 'text', 'identifier': 'text'}) }}
),

final as (
    select
        campaign_id,
        identifier
    from delivered
    union
    select
        published.campaign_id,
        published.identifier
    from published
    inner join moved on published.identifier = moved.identifier
)

select * from final
