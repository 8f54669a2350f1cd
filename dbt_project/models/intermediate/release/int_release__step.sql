-- Grain: one row: from which as-of date to which this build steps. Rows dated after from_date, up to to_date, come into
-- sight (or go out of it, when the build is as of an earlier date than the release that it starts from).
with building as (
    select * from {{ source('release', 'building') }}
),

published as (
    select * from {{ source('release', 'base') }}
),

final as (
    select
        building.as_of_date,
        building.is_full,
        least(building.as_of_date, published.earliest_as_of_date) as from_date,
        greatest(building.as_of_date, published.latest_as_of_date) as to_date
    from building
    left join published on true
)

select * from final
