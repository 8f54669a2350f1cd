-- Grain: one row per calendar month, tier at its opening and tier at its close, as the source system has them. NEW:
-- not a valid member at the opening; X: no valid member any more at the close.
-- Who keeps a tier all month is not looked up month by month, but counted: those who had begun before, less those who
-- have ended by the close.
{{ config(unique_key=['month_start', 'from_tier', 'to_tier']) }}

with building as (
    select as_of_date from {{ source('release', 'building') }}
),

history as (
    select * from {{ ref('tier_history') }}
),

members as (
    select * from {{ ref('int_members__members') }}
    where enrolled_on is not null
),

excluded as (
    select
        member_id,
        range_agg(daterange(excluded_from, excluded_to)) as days
    from {{ ref('int_members__exclusions') }}
    group by member_id
),

months as (
    select
        month::date as month_start,
        least((month + interval '1 month')::date - 1, building.as_of_date) as closing_on
    from building
    cross join {{ ref('int_tiers__first_day') }} as first_day
    cross join generate_series(
        date_trunc('month', first_day.first_business_date::timestamp),
        building.as_of_date::timestamp,
        interval '1 month'
    ) as month
),

counted as (
    select
        history.member_id,
        history.tier,
        daterange(greatest(history.valid_from, members.enrolled_on), history.valid_to) as days,
        excluded.days as excluded_days
    from history
    inner join members on history.member_id = members.member_id
    left join excluded on history.member_id = excluded.member_id
    where history.valid_to > members.enrolled_on
),

-- days on which a member was valid and in one tier; what ends after the as-of date has not ended
segments as (
    select
        member_id,
        tier,
        lower(days) as segment_from,
        nullif(upper(days), date '9999-12-31') as segment_to
    from counted
    where excluded_days is null
    union all
    select
        counted.member_id,
        counted.tier,
        lower(segment.days) as segment_from,
        nullif(upper(segment.days), date '9999-12-31') as segment_to
    from counted
    cross join lateral unnest(datemultirange(counted.days) - counted.excluded_days) as segment (days)
    where counted.excluded_days is not null
),

leaving as (
    select
        member_id,
        date_trunc('month', segment_to)::date as month_start,
        tier
    from segments
    where segment_from < date_trunc('month', segment_to)::date
),

coming as (
    select
        segments.member_id,
        months.month_start,
        segments.tier
    from segments
    inner join months on months.month_start = date_trunc('month', segments.segment_from)::date
    where segments.segment_from <= months.closing_on and (segments.segment_to <= months.closing_on) is not true
),

moved as (
    select
        coalesce(leaving.month_start, coming.month_start) as month_start,
        coalesce(leaving.tier, 'NEW') as from_tier,
        coalesce(coming.tier, 'X') as to_tier,
        count(*) as members
    from leaving
    full join coming on leaving.member_id = coming.member_id and leaving.month_start = coming.month_start
    group by
        coalesce(leaving.month_start, coming.month_start),
        coalesce(leaving.tier, 'NEW'),
        coalesce(coming.tier, 'X')
),

days as (
    select
        tier,
        segment_from as day,
        count(*) as begun,
        0 as ended
    from segments
    group by tier, segment_from
    union all
    select
        tier,
        segment_to as day,
        0 as begun,
        count(*) as ended
    from segments
    where segment_to is not null
    group by tier, segment_to
),

-- begun and ended within the month: they had not begun before it
passing as (
    select
        tier,
        date_trunc('month', segment_from)::date as month_start,
        count(*) as members
    from segments
    where segment_from >= date_trunc('month', segment_to)::date
    group by tier, date_trunc('month', segment_from)::date
),

kept as (
    select
        months.month_start,
        days.tier,
        coalesce(sum(days.begun) filter (where days.day < months.month_start), 0)
        - coalesce(sum(days.ended), 0)
        + coalesce(max(passing.members), 0) as members
    from months
    inner join days on months.closing_on >= days.day
    left join passing on months.month_start = passing.month_start and days.tier = passing.tier
    group by months.month_start, days.tier
),

counts as (
    select * from moved
    union all
    select
        month_start,
        tier as from_tier,
        tier as to_tier,
        members
    from kept
),

final as (
    select
        counts.month_start,
        counts.from_tier,
        counts.to_tier,
        sum(counts.members)::integer as members
    from counts
    inner join months on counts.month_start = months.month_start
    group by counts.month_start, counts.from_tier, counts.to_tier
    having sum(counts.members) > 0
)

select * from final
