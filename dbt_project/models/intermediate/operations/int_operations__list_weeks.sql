-- Grain: one row per week for which a list of members to win back was made, at the close of the Sunday before it. What
-- was published once stays; before that the lists of a quarter are made.
{{ config(unique_key=['week_start'], may_be_empty=true) }}

with reporting as (
    select * from {{ ref('reporting_period') }}
),

published as (
    {{ published_rows('int_operations__list_weeks', {'week_start': 'date'}) }}
),

weeks as (
    select
        week::date as week_start,
        reporting.as_of_date
    from reporting
    cross join
        generate_series(
            date_trunc('week', reporting.observed_from::timestamp) + interval '7 days',
            reporting.as_of_date::timestamp + interval '1 day',
            interval '7 days'
        ) as week
),

final as (
    select weeks.week_start
    from weeks
    left join published on weeks.week_start = published.week_start
    where published.week_start is not null or weeks.week_start > weeks.as_of_date - 91
)

select * from final
