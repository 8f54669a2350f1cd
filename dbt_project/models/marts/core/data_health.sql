-- Grain: one row per source, feed and business date of its batches. What is there now, of every release.
{{ config(materialized='published_view') }}

with batches as (
    select
        batch.*,
        {{ is_open_refusal('batch') }} as is_open_refusal
    from {{ source('ops', 'batch') }} as batch
),

balances as (
    select
        batch_id,
        sum(amount) as amount_in,
        sum(amount) filter (where outcome = 'quarantined') as amount_quarantined
    from {{ source('ops', 'load_balance') }}
    group by batch_id
),

final as (
    select
        batches.source,
        batches.feed,
        batches.business_date,
        count(*) filter (where batches.state = 'loaded') as batches_loaded,
        count(*) filter (where batches.is_open_refusal) as batches_refused,
        coalesce(sum(batches.rows_in) filter (where batches.state = 'loaded'), 0)::bigint as rows_in,
        coalesce(sum(batches.rows_loaded) filter (where batches.state = 'loaded'), 0)::bigint as rows_loaded,
        coalesce(sum(batches.rows_duplicate) filter (where batches.state = 'loaded'), 0)::bigint as rows_duplicate,
        coalesce(sum(batches.rows_quarantined) filter (where batches.state = 'loaded'), 0)::bigint as rows_quarantined,
        sum(balances.amount_in) filter (where batches.state = 'loaded') as amount_in,
        sum(balances.amount_quarantined) filter (where batches.state = 'loaded') as amount_quarantined,
        max(batches.recorded_at) as last_recorded_at
    from batches
    left join balances on batches.batch_id = balances.batch_id
    group by batches.source, batches.feed, batches.business_date
)

select * from final
