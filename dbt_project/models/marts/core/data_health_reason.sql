-- Grain: one row per source, feed, business date, store of the batch and reason for which rows are in quarantine.
{{ config(materialized='published_view') }}

with rejected_rows as (
    select * from {{ source('quarantine', 'rejected_row') }}
    where replayed_at is null
),

batches as (
    select * from {{ source('ops', 'batch') }}
    where state = 'loaded'
),

final as (
    select
        batches.source,
        batches.feed,
        batches.business_date,
        batches.store_id,
        rejected_rows.reason_code,
        rejected_rows.column_name,
        count(*) as row_count,
        count(rejected_rows.row) as can_be_tried_again_count,
        min(rejected_rows.reason) as example,
        max(rejected_rows.rejected_at) as last_rejected_at
    from rejected_rows
    inner join batches on rejected_rows.batch_id = batches.batch_id
    group by
        batches.source,
        batches.feed,
        batches.business_date,
        batches.store_id,
        rejected_rows.reason_code,
        rejected_rows.column_name
)

select * from final
