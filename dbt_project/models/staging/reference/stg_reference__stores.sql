-- Grain: one row per store, as of the newest file that names it.
with stores as (
    {{ active_rows('reference', 'stores') }}
),

newest as (
    select
        stores.*,
        row_number() over (partition by store_id order by _delivered_on desc, _batch_id desc, _line_no desc) as recency
    from stores
),

final as (
    select
        store_id,
        name,
        region,
        city,
        format,
        coalesce(timezone, 'Asia/Shanghai') as timezone,
        coalesce(day_cutoff, time '00:00') as day_cutoff,
        opened_on,
        closed_on,
        supervisor_id
    from newest
    where recency = 1
)

select * from final
