-- Grain: one row per store and business date touched by this build.
-- What the gate looks at to tell a day that a person would doubt. The middle one of the day's prices is held against
-- the highest and the lowest at which the same product was sold elsewhere up to a quarter before and after, its sales
-- against the same store's earlier same weekdays.
with touched as (
    select * from {{ ref('int_release__touched_dates') }}
),

priced as (
    select
        lines.store_id,
        lines.business_date,
        lines.sku,
        lines.unit_price::double precision as unit_price
    from {{ ref('fct_receipt_line') }} as lines
    inner join touched on lines.business_date = touched.business_date
    where lines.unit_price > 0 and lines.units > 0
),

day_prices as (
    select * from {{ ref('int_audit__day_prices') }}
),

-- the two most extreme days of a product, so that a day can be held against all the others
sku_prices as (
    select
        sku,
        (array_agg(highest order by highest desc))[1:2] as highest,
        (array_agg(lowest order by lowest))[1:2] as lowest
    from day_prices
    group by sku
    having count(*) >= 3
),

prices as (
    select
        priced.store_id,
        priced.business_date,
        count(*) as compared_lines,
        (percentile_disc(0.5) within group (
            order by priced.unit_price / case
                when day_prices.highest = sku_prices.highest[1] then sku_prices.highest[2]
                else sku_prices.highest[1]
            end
        ))::numeric(14, 4) as price_over_highest,
        (percentile_disc(0.5) within group (
            order by priced.unit_price / case
                when day_prices.lowest = sku_prices.lowest[1] then sku_prices.lowest[2]
                else sku_prices.lowest[1]
            end
        ))::numeric(14, 4) as price_over_lowest
    from priced
    inner join day_prices
        on
            priced.sku = day_prices.sku
            and priced.store_id = day_prices.store_id
            and priced.business_date = day_prices.business_date
    inner join sku_prices on priced.sku = sku_prices.sku
    group by priced.store_id, priced.business_date
),

looked_at as (
    select distinct touched.business_date - weeks.number * 7 as business_date
    from touched
    cross join generate_series(0, 13) as weeks (number)
),

sales as (
    select
        receipts.store_id,
        receipts.business_date,
        count(*) filter (where receipts.receipt_type = 'sale') as sale_receipts,
        sum(receipts.net_sales_amount) as net_sales_amount
    from {{ ref('fct_receipt') }} as receipts
    inner join looked_at on receipts.business_date = looked_at.business_date
    group by receipts.store_id, receipts.business_date
),

earlier as (
    select
        sales.store_id,
        sales.business_date,
        count(before.*) as earlier_days,
        percentile_disc(0.5) within group (order by before.net_sales_amount) as usual_net_sales_amount,
        max(before.net_sales_amount) as highest_net_sales_amount
    from sales
    inner join touched on sales.business_date = touched.business_date
    left join sales as before
        on
            sales.store_id = before.store_id
            and sales.business_date > before.business_date
            and sales.business_date - before.business_date <= 91
            and (sales.business_date - before.business_date) % 7 = 0
    group by sales.store_id, sales.business_date
),

final as (
    select
        sales.store_id,
        sales.business_date,
        sales.sale_receipts,
        sales.net_sales_amount,
        coalesce(prices.compared_lines, 0) as compared_lines,
        prices.price_over_highest,
        prices.price_over_lowest,
        earlier.earlier_days,
        earlier.usual_net_sales_amount,
        -- against the highest such day: one store's ordinary days differ too much for a band around the middle
        case
            when earlier.earlier_days >= 6
                then (sales.net_sales_amount / nullif(earlier.highest_net_sales_amount, 0))::numeric(14, 4)
        end as sales_ratio
    from sales
    inner join earlier on sales.store_id = earlier.store_id and sales.business_date = earlier.business_date
    left join prices on sales.store_id = prices.store_id and sales.business_date = prices.business_date
)

select * from final
