-- Grain: one row per week that is over, store and indicator: where the store stands, and what reaching the middle of
-- its peers would bring in a week.
-- Peers are the other stores of its format and region. Stores are compared over the quarter that ends with the week,
-- because one week of one store is chance; those that opened or reopened within the quarter are neither compared nor
-- peers. A lever is named only for a gap that is larger than chance makes.
{{ config(
    unique_key=['week_start', 'store_id', 'indicator'],
    scope={'columns': ['week_start'], 'relation': 'int_operations__touched_compass_weeks'},
    may_be_empty=true,
) }}
-- depends_on: {{ ref('int_operations__touched_compass_weeks') }}

with indicators as (
    select
        told.*,
        seed.direction,
        seed.sort_order,
        seed.better,
        seed.is_lever,
        trading.format,
        trading.region,
        trading.is_reopened,
        trading.trading_weeks,
        trading.trading_weeks >= {{ tool_parameter('compass_weeks') }} as has_traded_enough
    from {{ ref('int_operations__indicators') }} as told
    inner join {{ ref('compass_indicators') }} as seed on told.indicator = seed.indicator
    inner join {{ ref('int_operations__trading_weeks') }} as trading
        on told.week_start = trading.week_start and told.store_id = trading.store_id
),

stores as (
    select * from indicators
    where {{ in_scope('week_start', 'int_operations__touched_compass_weeks') }}
),

peers as (
    select
        stores.week_start,
        stores.store_id,
        stores.indicator,
        count(*) as peers,
        percentile_cont(0.5) within group (order by peer.quarter_value) as peer_median,
        (
            count(*) filter (
                where
                case stores.better
                    when 'higher' then peer.quarter_value < stores.quarter_value
                    else peer.quarter_value > stores.quarter_value
                end
            )
            + 0.5 * count(*) filter (where peer.quarter_value = stores.quarter_value)
        ) / count(*) as peer_percentile
    from stores
    inner join stores as peer
        on
            stores.week_start = peer.week_start
            and stores.indicator = peer.indicator
            and stores.format = peer.format
            and stores.region = peer.region
            and stores.store_id <> peer.store_id
    where
        stores.has_traded_enough
        and peer.has_traded_enough
        and stores.quarter_value is not null
        and peer.quarter_value is not null
    group by stores.week_start, stores.store_id, stores.indicator, stores.better
    having count(*) >= {{ tool_parameter('compass_peers') }}
),

compared as (
    select
        stores.*,
        peers.peers,
        peers.peer_median::numeric as peer_median,
        peers.peer_percentile,
        ((peers.peer_median::numeric - stores.quarter_value) * stores.step_amount)::numeric(14, 2) as gap_amount,
        ({{ tool_parameter('compass_errors') }} * stores.quarter_error * abs(stores.step_amount))::numeric(14, 2)
            as chance_amount
    from stores
    left join peers
        on
            stores.week_start = peers.week_start
            and stores.store_id = peers.store_id
            and stores.indicator = peers.indicator
),

ranked as (
    select
        compared.*,
        coalesce(compared.is_lever and compared.gap_amount > compared.chance_amount, false) as is_in_question,
        row_number() over (
            partition by compared.week_start, compared.store_id
            order by
                case when compared.is_lever and compared.gap_amount > compared.chance_amount then 1 else 2 end asc,
                compared.gap_amount desc nulls last,
                compared.sort_order asc
        ) as place
    from compared
),

final as (
    select
        ranked.week_start,
        ranked.store_id,
        ranked.direction,
        ranked.indicator,
        ranked.week_value::numeric(14, 6) as value,
        targets.target_value as target,
        last_year.week_value::numeric(14, 6) as last_year,
        ranked.quarter_value::numeric(14, 6) as quarter_value,
        ranked.peers::integer as peers,
        ranked.peer_median::numeric(14, 6) as peer_median,
        ranked.peer_percentile::numeric(14, 6) as peer_percentile,
        ranked.gap_amount,
        ranked.chance_amount,
        ranked.is_lever,
        ranked.is_in_question and ranked.place = 1 as is_weakest,
        case
            when ranked.has_traded_enough and ranked.peers is null and ranked.quarter_value is not null
                then 'too few peers'
            when not ranked.has_traded_enough and ranked.is_reopened then 'reopened less than 13 weeks ago'
            when not ranked.has_traded_enough then 'opened less than 13 weeks ago'
            when ranked.quarter_value is null then 'no figure'
        end as why_not_compared
    from ranked
    left join {{ ref('target_attainment_weekly') }} as targets
        on
            ranked.week_start = targets.week_start
            and targets.level = 'store'
            and ranked.store_id = targets.level_id
            and ranked.indicator = targets.metric
    left join indicators as last_year
        on
            ranked.week_start - 364 = last_year.week_start
            and ranked.store_id = last_year.store_id
            and ranked.indicator = last_year.indicator
)

select * from final
