-- Grain: one row per day at whose close counts of members may differ from the highest published release: from the first
-- one on which the standing of a member does to the last one.
with step as (
    select * from {{ ref('int_release__step') }}
),

changed_days as (
    select moved_on as day from ({{ changes('int_kpi__moves', ['moved_on']) }}) as moves
    union all
    select edge.day
    from ({{ changes('int_kpi__spans', ['valid_from', 'valid_to']) }}) as spans
    cross join lateral (values (spans.valid_from), (spans.valid_to)) as edge (day)
),

bounds as (
    select
        least(
            (
                select min(changed_days.day) from changed_days
                where changed_days.day <= step.to_date
            ),
            step.from_date + 1
        ) as first_day,
        step.to_date
    from step
    where not step.is_full
),

final as (
    select day::date as day
    from bounds
    cross join generate_series(bounds.first_day::timestamp, bounds.to_date::timestamp, interval '1 day') as day
)

select * from final
