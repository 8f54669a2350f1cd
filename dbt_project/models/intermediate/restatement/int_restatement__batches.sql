-- Grain: one row per batch whose rows this build sees in another way than what is out did, with the batch that brought
-- that about: itself, or the revision that took its place. No row when nothing can be restated.
with changed as (
    select * from {{ ref('int_release__changed_batches') }}
    where exists (select 1 from {{ source('release', 'restating') }})
),

batches as (
    select * from {{ source('ops', 'batch') }}
),

placed as (
    select
        changed.batch_id,
        changed.source,
        changed.feed,
        changed.business_date,
        batches.store_id,
        batches.batch_name,
        batches.state
    from changed
    inner join batches on changed.batch_id = batches.batch_id
),

final as (
    select
        placed.batch_id,
        placed.source,
        placed.feed,
        placed.business_date,
        placed.store_id,
        coalesce(successor.batch_id, placed.batch_id) as cause_batch_id,
        case
            when
                placed.state = 'superseded'
                or exists (
                    select 1 from placed as predecessor
                    where
                        predecessor.state = 'superseded'
                        and predecessor.source = placed.source
                        and predecessor.feed = placed.feed
                        and predecessor.business_date = placed.business_date
                        and predecessor.store_id = placed.store_id
                        and predecessor.batch_name = placed.batch_name
                )
                then 'revised batch'
            else 'late batch'
        end as cause
    from placed
    left join lateral (
        select max(batches.batch_id) as batch_id
        from batches
        where
            placed.state = 'superseded'
            and batches.state = 'loaded'
            and batches.source = placed.source
            and batches.feed = placed.feed
            and batches.business_date = placed.business_date
            and batches.store_id = placed.store_id
            and batches.batch_name = placed.batch_name
    ) as successor on true
)

select * from final
