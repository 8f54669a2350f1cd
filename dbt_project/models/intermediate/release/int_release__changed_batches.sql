-- Grain: one row per batch whose rows this build may see in another way than the release that it starts from: it
-- was loaded or superseded since (is_changed), or it may hold rows dated after the as-of date of then.
with building as (
    select as_of_date from {{ source('release', 'building') }}
),

published as (
    select * from {{ source('release', 'base') }}
),

batches as (
    select
        batch.*,
        batch.change_no > coalesce((select batch_change_no from published), 0) as is_changed
    from {{ source('ops', 'batch') }} as batch
    where batch.state in ('loaded', 'superseded')
),

final as (
    select
        batches.batch_id,
        batches.source,
        batches.feed,
        batches.business_date,
        batches.is_changed
    from batches
    cross join building
    left join published on true
    where
        batches.is_changed
        -- no row is dated later than its batch was produced
        or greatest(
            batches.business_date + 1,
            ((batches.manifest ->> 'produced_at')::timestamptz at time zone 'UTC')::date + 1
        ) > least(building.as_of_date, published.earliest_as_of_date)
)

select * from final
