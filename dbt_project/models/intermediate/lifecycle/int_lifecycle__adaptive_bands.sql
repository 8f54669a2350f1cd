-- Grain: one row per member and period, past and future, in one recency band by the member's own purchase cycle: with
-- four purchase days the median of its gaps, before that the cycle of the category bought most on the last purchase
-- day, else the chain's. Only while the member is valid and has bought.
{{ config(
    unique_key=['member_id', 'valid_from'],
    scope={'columns': ['member_id'], 'relation': 'int_lifecycle__touched_members'},
    lookups=[['valid_from']],
) }}

with purchases as (
    select * from {{ ref('int_lifecycle__purchases') }}
),

members as (
    select * from {{ ref('int_members__members') }}
    where {{ in_scope('member_id', 'int_lifecycle__touched_members') }}
),

exclusions as (
    select
        member_id,
        range_agg(daterange(excluded_from, excluded_to)) as excluded
    from {{ ref('int_members__exclusions') }}
    where {{ in_scope('member_id', 'int_lifecycle__touched_members') }}
    group by member_id
),

bands as (
    select * from {{ ref('adaptive_bands') }}
),

category_cycles as (
    select * from {{ ref('category_cycles') }}
),

gaps_so_far as (
    select
        purchases.*,
        case
            when purchase_no >= {{ lifecycle_parameter('own_cycle_purchase_days') }}
                then array_agg(purchased_on - previous_purchased_on) over (
                    partition by member_id, epoch_from
                    order by purchased_on
                    rows between unbounded preceding and current row
                )
        end as gaps
    from purchases
),

with_median as (
    select
        gaps_so_far.*,
        own.cycle_days as own_cycle_days
    from gaps_so_far
    left join lateral (
        select percentile_cont(0.5) within group (order by gap) as cycle_days
        from unnest(gaps_so_far.gaps) as gap
        where gaps_so_far.gaps is not null
    ) as own on true
),

with_cycle as (
    select
        with_median.member_id,
        with_median.epoch_from,
        with_median.epoch_to,
        with_median.purchased_on,
        with_median.next_purchased_on,
        coalesce(
            with_median.own_cycle_days::numeric,
            category_cycles.cycle_days,
            {{ lifecycle_parameter('default_cycle_days') }}
        )::numeric(8, 1) as cycle_days,
        case
            when with_median.own_cycle_days is not null then 'own'
            when category_cycles.cycle_days is not null then 'category'
            else 'default'
        end as cycle_basis
    from with_median
    left join category_cycles on with_median.top_category = category_cycles.category
),

-- each purchase day begins the first band; after so many days without another the next one begins
steps as (
    select
        with_cycle.*,
        bands.band,
        bands.factor,
        with_cycle.purchased_on
        + least(greatest(round(bands.factor * with_cycle.cycle_days), bands.min_days), bands.max_days)::integer
            as begins_on
    from with_cycle
    cross join bands
),

stretches as (
    select
        steps.*,
        lead(begins_on, 1, date '9999-12-31') over (
            partition by member_id, epoch_from, purchased_on order by factor
        ) as ends_on
    from steps
),

pieces as (
    select
        stretches.member_id,
        stretches.band,
        stretches.cycle_days,
        stretches.cycle_basis,
        unnest(
            datemultirange(daterange(
                greatest(stretches.begins_on, stretches.epoch_from, members.enrolled_on),
                least(stretches.ends_on, stretches.next_purchased_on, stretches.epoch_to)
            ))
            - coalesce(exclusions.excluded, '{}')
        ) as period
    from stretches
    inner join members on stretches.member_id = members.member_id
    left join exclusions on stretches.member_id = exclusions.member_id
    where
        members.enrolled_on is not null
        and greatest(stretches.begins_on, stretches.epoch_from, members.enrolled_on)
        < least(stretches.ends_on, stretches.next_purchased_on, stretches.epoch_to)
),

marked as (
    select
        pieces.*,
        (
            lag(upper(period)) over by_day is distinct from lower(period)
            or lag(band) over by_day is distinct from band
            or lag(cycle_days) over by_day is distinct from cycle_days
            or lag(cycle_basis) over by_day is distinct from cycle_basis
        ) as is_start
    from pieces
    window by_day as (partition by member_id order by lower(period))
),

numbered as (
    select
        marked.*,
        count(*) filter (where is_start) over (partition by member_id order by lower(period)) as period_no
    from marked
),

final as (
    select
        member_id,
        band as adaptive_band,
        min(lower(period)) as valid_from,
        max(upper(period)) as valid_to,
        cycle_days,
        cycle_basis
    from numbered
    group by member_id, period_no, band, cycle_days, cycle_basis
)

select * from final
