-- Grain: one row per member and period in which the member counts nowhere (closed, blocked, staff or test);
-- the end is exclusive. Several flags at once are one period.
with flag_periods as (
    select * from {{ ref('int_members__flag_periods') }}
),

periods as (
    select
        member_id,
        unnest(range_agg(daterange(flagged_from, flagged_to))) as period
    from flag_periods
    group by member_id
),

final as (
    select
        member_id,
        lower(period) as excluded_from,
        upper(period) as excluded_to
    from periods
)

select * from final
