-- Grain: one row per landed batch up to the as-of date. An open refusal counts here when it is for too many bad rows.
with building as (
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
        coalesce(batches.refusal_code in ('too_many_bad_rows', 'unknown_stores'), false)
        and {{ is_open_refusal('batches') }} as is_open_refusal
    from {{ source('ops', 'batch') }} as batches
    where batches.business_date <= (select as_of_date from building)
)

select * from final
