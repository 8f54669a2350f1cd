-- Grain: one row per card or account whose uses of benefits may differ from the highest published release: one was
-- delivered or replaced since, or the card or account is another member's now.
with moved as (
    select * from {{ ref('int_facts__moved_identifiers') }}
),

published as not materialized (
    {{ published_rows('fct_benefit_use', {'identifier': 'text', 'account_id': 'text'}) }}
),

final as (
    {{ changed_rows('app', 'benefit_uses', ['coalesce(fed.card_no, fed.account_id) as identifier']) }}
    union
    select identifier from moved
    union
    select published.identifier
    from published
    inner join moved on published.account_id = moved.identifier
)

select * from final
where identifier is not null
