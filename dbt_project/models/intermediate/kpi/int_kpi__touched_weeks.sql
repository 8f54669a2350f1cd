-- Grain: one row per week in whose counts of members something may differ from the highest published release: from the
-- first day on which a member's standing does, and from where weeks or their closes came or went, to the last one.
with step as (
    select * from {{ ref('int_release__step') }}
),

moves as (
    {{ changes('int_kpi__moves', ['moved_on']) }}
),

weeks as (
    {{ changes('week_close', ['week_start']) }}
),

bounds as (
    select
        least(
            (
                select date_trunc('week', min(moves.moved_on))::date from moves
                where moves.moved_on <= step.to_date
            ),
            -- the week before the first one holds where members stood when it began
            (select min(weeks.week_start) - 7 from weeks)
        ) as first_week,
        date_trunc('week', step.to_date)::date as last_week
    from step
    where not step.is_full
),

final as (
    select week::date as week_start
    from bounds
    cross join generate_series(bounds.first_week::timestamp, bounds.last_week::timestamp, interval '7 days') as week
)

select * from final
