-- Grain: one row per product and business date on which it was sold: the two highest and the two lowest prices, each
-- the highest or lowest of another store, and in how many stores it was sold. What a day's prices are held against.
{{ config(
    unique_key=['sku', 'business_date'],
    scope={'columns': ['sku', 'business_date'], 'relation': 'int_release__touched_product_days'},
    lookups=[['business_date']],
) }}

with lines as (
    select * from {{ ref('fct_receipt_line') }}
    where {{ in_scope(['sku', 'business_date'], 'int_release__touched_product_days') }}
),

by_store as (
    select
        sku,
        business_date,
        store_id,
        max(unit_price)::double precision as highest,
        min(unit_price)::double precision as lowest
    from lines
    where unit_price > 0 and units > 0
    group by sku, business_date, store_id
),

final as (
    select
        sku,
        business_date,
        count(*)::integer as stores,
        max(highest) as highest,
        (array_agg(highest order by highest desc))[2] as second_highest,
        min(lowest) as lowest,
        (array_agg(lowest order by lowest))[2] as second_lowest
    from by_store
    where sku is not null
    group by sku, business_date
)

select * from final
