-- Grain: one row per ticket that may differ from the highest published release: it was delivered or replaced since, or
-- its card or account is another member's now.
with delivered as (
    {{ changed_rows('app', 'feedback', ['fed.ticket_id']) }}
),

moved as (
    select * from {{ ref('int_facts__moved_identifiers') }}
),

published as (
    {{ published_rows('fct_feedback', {'ticket_id': 'text', 'identifier': 'text'}) }}
),

final as (
    select ticket_id from delivered
    union
    select published.ticket_id from published
    inner join moved on published.identifier = moved.identifier
)

select * from final
