-- Grain: one row per target of a store or the chain (store_id null) and revision of it, as delivered last. Those of a
-- single member of staff or stage are not here: nothing is measured by them yet.
with targets as (
    {{ active_rows('reference', 'targets') }}
),

dated as (
    select
        store_id,
        metric,
        period_type,
        date_trunc(targets.period_type, targets.period_start::timestamp)::date as period_start,
        coalesce(revision, 0) as revision,
        value,
        _delivered_on,
        _batch_id,
        _line_no
    from targets
    where staff_id is null and stage_code is null
),

numbered as (
    select
        dated.*,
        min(_delivered_on) over by_revision as delivered_on,
        row_number() over (by_revision order by _delivered_on desc, _batch_id desc, _line_no desc) as recency
    from dated
    window by_revision as (partition by store_id, metric, period_type, period_start, revision)
),

final as (
    select
        store_id,
        metric,
        period_type,
        period_start,
        revision,
        value,
        delivered_on
    from numbered
    where recency = 1
)

select * from final
