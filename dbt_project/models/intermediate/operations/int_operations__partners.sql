-- Grain: one row per category and place (1 to 3) of the categories that go with it: bought together more often than by
-- chance in the whole chain, in the season that ended last.
{{ config(unique_key=['category', 'place'], may_be_empty=true) }}

with reporting as (
    select * from {{ ref('reporting_period') }}
),

pairs as (
    select pairs.*
    from {{ ref('attach_pair') }} as pairs
    cross join reporting
    where
        pairs.level = 'hq'
        and pairs.lift > 1
        and pairs.season_start = (
            date_trunc('quarter', reporting.as_of_date + 1 - interval '2 months') - interval '1 month'
        )::date
),

ranked as (
    select
        pairs.*,
        row_number() over (
            partition by category order by lift desc, confidence desc, with_category asc
        ) as place
    from pairs
),

final as (
    select
        category,
        place::integer as place,
        with_category,
        confidence,
        lift
    from ranked
    where place <= 3
)

select * from final
