-- Grain: one row per account and business date whose events may differ from the highest published release: some were
-- delivered or replaced since, the account is another member's now, or the catalogue says otherwise of an event.
with counted as (
    {{ changes('int_events__batch_days', ['account_id', 'business_date']) }}
),

moved as (
    select * from {{ ref('int_facts__moved_identifiers') }}
),

recatalogued as (
    {{ changes('dim_app_event', ['event_name']) }}
),

published as not materialized (
    {{ published_rows('fct_app_event_day', {'account_id': 'text', 'business_date': 'date', 'event_name': 'text'}) }}
),

touched as (
    select
        account_id,
        business_date
    from counted
    union
    select
        published.account_id,
        published.business_date
    from published
    inner join moved on published.account_id = moved.identifier
    union
    select
        published.account_id,
        published.business_date
    from published
    inner join recatalogued on published.event_name = recatalogued.event_name
),

final as (
    select
        account_id,
        business_date
    from touched
    where not (select building.is_full from {{ source('release', 'building') }} as building)
)

select * from final
