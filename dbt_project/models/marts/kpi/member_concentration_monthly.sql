-- Grain: one row per month that is over, level (store, region, hq) and its id with purchasers in the 365 days before
-- its end.
{{ config(
    unique_key=['month_start', 'level', 'level_id'],
    scope={'columns': ['month_start'], 'relation': 'int_kpi__scope_months'},
    may_be_empty=true,
) }}
-- depends_on: {{ ref('int_kpi__scope_months') }}

with buyers as (
    select
        buyers.month_start,
        place.level,
        place.level_id,
        buyers.spend_365_amount,
        buyers.purchase_days_365,
        -- of equal amounts any may count: the sum is the same
        row_number() over (
            partition by buyers.month_start, place.level, place.level_id order by buyers.spend_365_amount desc
        ) as spend_rank,
        count(*) over (partition by buyers.month_start, place.level, place.level_id) as purchasers
    from {{ ref('int_kpi__month_buyers') }} as buyers
    inner join {{ ref('dim_store') }} as stores on buyers.store_id = stores.store_id
    cross join
        lateral (values ('store', stores.store_id), ('region', stores.region), ('hq', 'hq')) as place (level, level_id)
),

final as (
    select
        month_start,
        level,
        level_id,
        count(*)::integer as purchasers_365,
        sum(purchase_days_365)::integer as purchase_days_365,
        sum(spend_365_amount)::numeric(14, 2) as net_amount_365,
        (sum(spend_365_amount) filter (where spend_rank <= ceil(purchasers / 10.0)))::numeric(14, 2)
            as top_decile_net_amount,
        {{ rate(
            'sum(spend_365_amount) filter (where spend_rank <= ceil(purchasers / 10.0))', 'sum(spend_365_amount)'
        ) }} as top_decile_share,
        (sum(purchase_days_365) / count(*))::numeric(14, 4) as purchase_frequency
    from buyers
    group by month_start, level, level_id
)

select * from final
