-- Grain: one row per contact that may differ from the highest published release: it or one of its states was delivered
-- or replaced since, or its card or account is another member's now.
with delivered as (
    {{ changed_rows('app', 'contacts', ['fed.contact_id']) }}
    union
    {{ changed_rows('app', 'contact_states', ['fed.contact_id']) }}
),

moved as (
    select * from {{ ref('int_facts__moved_identifiers') }}
),

published as (
    {{ published_rows('fct_contact', {'contact_id': 'text', 'identifier': 'text'}) }}
),

final as (
    select contact_id from delivered
    union
    select published.contact_id from published
    inner join moved on published.identifier = moved.identifier
)

select * from final
