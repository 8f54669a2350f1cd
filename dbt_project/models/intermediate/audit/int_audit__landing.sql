-- Grain: one row per landed batch up to the as-of date. An open refusal: nothing that was loaded since replaces it.
with batches as (
    select * from {{ source('ops', 'batch') }}
),

building as (
    select as_of_date from {{ source('release', 'building') }}
),

final as (
    select
        batches.batch_id,
        batches.source,
        batches.feed,
        batches.business_date,
        batches.store_id,
        batches.batch_name,
        batches.state,
        batches.reason,
        batches.state = 'refused'
        and batches.refusal_code in ('too_many_bad_rows', 'unknown_stores')
        and not exists (
            select 1 from batches as later
            where
                later.source = batches.source
                and later.feed = batches.feed
                and later.business_date = batches.business_date
                and later.store_id = batches.store_id
                and later.state = 'loaded'
                and later.batch_id > batches.batch_id
        ) as is_open_refusal
    from batches
    where batches.business_date <= (select as_of_date from building)
)

select * from final
