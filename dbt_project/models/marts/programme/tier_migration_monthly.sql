-- Grain: one row per calendar month, tier at its opening and tier at its close, as the source system has them. NEW: not
-- a valid member at the opening; X: no valid member any more at the close.
-- Who keeps a tier all month is not looked up but counted: those who were in it at the opening, less those who moved.
{{ config(
    unique_key=['month_start', 'from_tier', 'to_tier'],
    scope={'columns': ['month_start'], 'relation': 'int_tiers__touched_months'},
) }}

with all_months as (
    select
        month::date as month_start,
        least((month + interval '1 month')::date - 1, period.as_of_date) as closing_on
    from {{ ref('reporting_period') }} as period
    cross join generate_series(
        date_trunc('month', period.observed_from::timestamp), period.as_of_date::timestamp, interval '1 month'
    ) as month
),

months as (
    select * from all_months
    where {{ in_scope('month_start', 'int_tiers__touched_months') }}
),

first_month as (
    select
        min(months.month_start) as month_start,
        min(months.month_start) = (select min(all_months.month_start) from all_months) as is_very_first
    from months
),

moves as not materialized (
    select
        member_id,
        moved_on,
        case when {{ is_valid_stage('before_stage_code') }} then before_tier end as before_tier,
        case when {{ is_valid_stage('after_stage_code') }} then after_tier end as after_tier
    from {{ ref('int_kpi__moves') }}
    where moved_on <= (select max(closing_on) from months)
),

movers as (
    select
        months.month_start,
        moves.member_id,
        (array_agg(moves.before_tier order by moves.moved_on))[1] as from_tier,
        (array_agg(moves.after_tier order by moves.moved_on desc))[1] as to_tier
    from moves
    inner join months on date_trunc('month', moves.moved_on::timestamp)::date = months.month_start
    where moves.moved_on >= (select month_start from first_month)
    group by months.month_start, moves.member_id
),

moved as (
    select
        month_start,
        from_tier,
        to_tier,
        count(*) as members
    from movers
    where from_tier is not null or to_tier is not null
    group by month_start, from_tier, to_tier
),

-- by how much a tier grew in a month; before the first of them, all that it had
growth as (
    select
        month_start,
        to_tier as tier,
        members
    from moved
    union all
    select
        month_start,
        from_tier,
        -members
    from moved
    union all
    select
        (first_month.month_start - interval '1 month')::date,
        side.tier,
        side.members
    from first_month
    inner join moves on first_month.is_very_first and first_month.month_start > moves.moved_on
    cross join lateral (values (moves.before_tier, -1), (moves.after_tier, 1)) as side (tier, members)
    {% if not is_full_build() -%}
    union all
    select
        published.month_start,
        published.to_tier,
        published.members
    from first_month
    inner join ({{ published_rows('tier_migration_monthly', {
        'month_start': 'date', 'to_tier': 'text', 'members': 'integer'
    }) }}) as published
        on (first_month.month_start - interval '1 month')::date = published.month_start
    where not first_month.is_very_first and published.to_tier <> 'X'
    {%- endif %}
),

opening as (
    select
        months.month_start,
        growth.tier,
        sum(growth.members) as members
    from months
    inner join growth on months.month_start > growth.month_start
    where growth.tier is not null
    group by months.month_start, growth.tier
),

counts as (
    select
        month_start,
        coalesce(from_tier, 'NEW') as from_tier,
        coalesce(to_tier, 'X') as to_tier,
        members
    from moved
    union all
    select
        month_start,
        tier as from_tier,
        tier as to_tier,
        members
    from opening
    union all
    select
        month_start,
        from_tier,
        from_tier as to_tier,
        -members
    from moved
    where from_tier is not null
),

final as (
    select
        month_start,
        from_tier,
        to_tier,
        sum(members)::integer as members
    from counts
    group by month_start, from_tier, to_tier
    having sum(members) <> 0
)

select * from final
