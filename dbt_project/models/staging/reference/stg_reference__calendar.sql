-- Grain: one row per date, event and scope (a region or a store; null: everywhere) of the newest calendar: a list that
-- comes later is the whole calendar.
with calendar as (
    {{ active_rows('reference', 'calendar') }}
),

newest as (
    select
        calendar.*,
        dense_rank() over (order by _delivered_on desc) as recency
    from calendar
),

final as (
    select distinct
        date as event_date,
        event_type,
        event_name,
        nullif(scope, '') as scope
    from newest
    where recency = 1
)

select * from final
