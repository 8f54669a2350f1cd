-- Grain: one row per event of the calendar (date, type, name) that the release knows sales of, and store that it
-- covers.
with reporting as (
    select * from {{ ref('reporting_period') }}
),

calendar as (
    select * from {{ ref('stg_reference__calendar') }}
),

stores as (
    select * from {{ ref('dim_store') }}
),

final as (
    select distinct
        calendar.event_date,
        calendar.event_type,
        calendar.event_name,
        stores.store_id,
        stores.region,
        calendar.event_date between reporting.observed_from and reporting.as_of_date as is_observed
    from calendar
    cross join reporting
    inner join stores
        on calendar.scope is null or calendar.scope = stores.region or calendar.scope = stores.store_id
)

select * from final
