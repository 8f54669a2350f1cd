-- Grain: one row per calendar day from the first business week to the end of the as-of date's week.
{{ config(unique_key=['calendar_date']) }}

with bounds as (
    select
        date_trunc('week', observed_from)::date as first_day,
        date_trunc('week', as_of_date)::date + 6 as last_day
    from {{ ref('reporting_period') }}
),

days as (
    select day::date as calendar_date
    from bounds
    cross join generate_series(bounds.first_day::timestamp, bounds.last_day::timestamp, interval '1 day') as day
),

final as (
    select
        calendar_date,
        date_trunc('week', calendar_date)::date as week_start,
        to_char(calendar_date, 'IYYY-"W"IW') as iso_week,
        date_trunc('month', calendar_date)::date as month_start,
        date_trunc('quarter', calendar_date)::date as quarter_start,
        date_trunc('year', calendar_date)::date as year_start,
        extract(isodow from calendar_date)::integer as weekday,
        (array['Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday', 'Sunday'])[
            extract(isodow from calendar_date)::integer
        ] as weekday_name_en,
        (array['星期一', '星期二', '星期三', '星期四', '星期五', '星期六', '星期日'])[
            extract(isodow from calendar_date)::integer
        ] as weekday_name_zh
    from days
)

select * from final
