-- Grain: one row per resource of the app's back end: up to when its changes are in the warehouse.
-- A view, so that it moves in the very transaction that commits the last batch of an extraction, and not when
-- a batch is refused. An extraction counts when all its parts (a batch a business date) were taken. The newest
-- one counts, not the highest: a back end's clock that ran ahead and was set right must not leave a gap.
create or replace view ops.app_watermark as
with extracts as (
    select
        batch.batch_id,
        batch.business_date,
        batch.batch_name,
        batch.manifest #>> '{extract,resource}' as resource,
        (batch.manifest #>> '{extract,watermark}')::timestamptz as watermark,
        (batch.manifest #>> '{extract,parts}')::integer as parts
    from ops.batch as batch
    where batch.state <> 'refused' and batch.manifest ? 'extract'
),

whole as (
    select
        extracts.resource,
        extracts.batch_name,
        max(extracts.watermark) as watermark,
        max(extracts.batch_id) as last_batch_id
    from extracts
    group by extracts.resource, extracts.batch_name
    having count(distinct extracts.business_date) >= max(extracts.parts)
),

final as (
    select distinct on (whole.resource)
        whole.resource,
        whole.watermark,
        whole.batch_name,
        whole.last_batch_id
    from whole
    order by whole.resource asc, whole.last_batch_id desc
)

select * from final;
