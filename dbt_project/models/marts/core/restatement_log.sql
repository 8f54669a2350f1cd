-- Grain: one row per release, table, row and column that was published for a time that was over, and has changed since.
{{ config(materialized='published_view') }}

with restatements as (
    select * from {{ source('release', 'restatement') }}
),

releases as (
    select * from {{ source('release', 'release') }}
),

published as (
    select distinct
        group_name,
        release_id
    from {{ source('release', 'publication') }}
),

-- what the reader sees of each group came about by the releases up to this one
groups as (
    select
        group_name,
        release.visible(group_name) as release_id
    from {{ source('release', 'consistency_group') }}
),

batches as (
    select * from {{ source('ops', 'batch') }}
),

final as (
    select
        restatements.release_id,
        restatements.group_name,
        releases.as_of_date,
        restatements.table_name,
        restatements.grain_key,
        restatements.column_name,
        restatements.old_value,
        restatements.new_value,
        restatements.cause,
        restatements.source_batch_ids,
        array(
            select
                concat_ws(
                    '/', batches.source, batches.feed, batches.business_date, batches.store_id, batches.batch_name
                )
            from batches
            where batches.batch_id = any(restatements.source_batch_ids)
            order by batches.batch_id
        ) as source_batches
    from restatements
    inner join published
        on restatements.group_name = published.group_name and restatements.release_id = published.release_id
    inner join groups
        on restatements.group_name = groups.group_name and restatements.release_id <= groups.release_id
    inner join releases on restatements.release_id = releases.release_id
)

select * from final
