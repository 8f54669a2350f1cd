-- Grain: one row per store and business date with a counter at the door, as counted last.
with footfall as (
    {{ active_rows('pos', 'footfall') }}
),

newest as (
    select
        footfall.*,
        row_number() over (
            partition by store_id, business_date, hour order by _delivered_on desc, _batch_id desc, _line_no desc
        ) as recency
    from footfall
),

final as (
    select
        store_id,
        business_date,
        sum(visitors)::integer as visitors
    from newest
    where recency = 1 and business_date <= (select as_of_date from {{ source('release', 'building') }})
    group by store_id, business_date
)

select * from final
