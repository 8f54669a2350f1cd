-- Grain: one row per ISO week (Monday to Sunday) from the first business date to the as-of date.
{{ config(unique_key=['week_start']) }}

with building as (
    select as_of_date from {{ source('release', 'building') }}
),

weeks as (
    select distinct week_start from {{ ref('dim_date') }}
),

final as (
    select
        weeks.week_start,
        weeks.week_start - 1 as opening_on,
        least(weeks.week_start + 6, building.as_of_date) as closing_on,
        least(weeks.week_start + 6, building.as_of_date) - weeks.week_start + 1 as days_elapsed
    from weeks
    cross join building
)

select * from final
