-- Grain: one row per batch, account, business date and name: events of it. A batch never changes, so it is counted once
-- and days are added up from here, without reading the events of other batches again.
{{ config(
    materialized='versioned',
    schema='marts',
    consistency_group='core',
    contract={'enforced': true},
    unique_key=['batch_id', 'account_id', 'business_date', 'event_name'],
    scope={'columns': ['batch_id'], 'relation': 'int_release__changed_batches'},
    is_published=false,
    fed_by=['app__events'],
    lookups=[['account_id', 'business_date']],
) }}

with events as (
    select * from {{ ref('stg_app__events') }}
    where
        {{ in_scope_by_index(
            '_batch_id', 'int_release__changed_batches', 'batch_id', "source = 'app' and feed = 'events'"
        ) }}
),

final as (
    select
        _batch_id as batch_id,
        account_id,
        business_date,
        event_name,
        count(*)::integer as events
    from events
    group by _batch_id, account_id, business_date, event_name
)

select * from final
