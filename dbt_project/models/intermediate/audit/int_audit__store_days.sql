-- Grain: one row per store and business date touched by this build.
-- What the gate looks at to tell a day that a person would doubt. The middle one of the day's prices is held against
-- the highest and the lowest at which the same product was sold elsewhere up to a quarter before and after, its sales
-- against the same store's earlier same weekdays.
with touched as (
    select * from {{ ref('int_release__touched_store_days') }}
),

sold as (
    select
        lines.store_id,
        lines.business_date,
        lines.sku,
        lines.unit_price::double precision as unit_price
    from {{ ref('fct_receipt_line') }} as lines
    inner join touched on lines.store_id = touched.store_id and lines.business_date = touched.business_date
    where lines.unit_price > 0 and lines.units > 0
),

priced as (
    select
        sold.*,
        max(unit_price) over of_day as highest,
        min(unit_price) over of_day as lowest
    from sold
    window of_day as (partition by sku, store_id, business_date)
),

compared_dates as (
    select distinct touched.business_date - 91 + days.number as business_date
    from (select distinct business_date from touched) as touched
    cross join generate_series(0, 182) as days (number)
),

-- the two most extreme days of a product in a store, so that a day can be held against all the others
sku_prices as (
    select
        product_days.sku,
        max(product_days.highest) as highest,
        greatest(
            (array_agg(product_days.highest order by product_days.highest desc))[2],
            max(product_days.second_highest)
        ) as second_highest,
        min(product_days.lowest) as lowest,
        least(
            (array_agg(product_days.lowest order by product_days.lowest))[2],
            min(product_days.second_lowest)
        ) as second_lowest
    from {{ ref('int_audit__product_days') }} as product_days
    inner join compared_dates on product_days.business_date = compared_dates.business_date
    group by product_days.sku
    having sum(product_days.stores) >= 3
),

prices as (
    select
        priced.store_id,
        priced.business_date,
        count(*) as compared_lines,
        (percentile_disc(0.5) within group (
            order by priced.unit_price / case
                when priced.highest = sku_prices.highest then sku_prices.second_highest
                else sku_prices.highest
            end
        ))::numeric(14, 4) as price_over_highest,
        (percentile_disc(0.5) within group (
            order by priced.unit_price / case
                when priced.lowest = sku_prices.lowest then sku_prices.second_lowest
                else sku_prices.lowest
            end
        ))::numeric(14, 4) as price_over_lowest
    from priced
    inner join sku_prices on priced.sku = sku_prices.sku
    group by priced.store_id, priced.business_date
),

store_days as (
    select * from {{ ref('int_receipts__store_days') }}
),

earlier as (
    select
        touched.store_id,
        touched.business_date,
        count(before.store_id) as earlier_days,
        percentile_disc(0.5) within group (order by before.net_sales_amount) as usual_net_sales_amount,
        max(before.net_sales_amount) as highest_net_sales_amount
    from touched
    cross join generate_series(1, 13) as weeks (number)
    left join store_days as before
        on touched.store_id = before.store_id and touched.business_date - weeks.number * 7 = before.business_date
    group by touched.store_id, touched.business_date
),

final as (
    select
        store_days.store_id,
        store_days.business_date,
        store_days.sales_rung as sale_receipts,
        store_days.net_sales_amount,
        coalesce(prices.compared_lines, 0) as compared_lines,
        prices.price_over_highest,
        prices.price_over_lowest,
        earlier.earlier_days,
        earlier.usual_net_sales_amount,
        -- against the highest such day: one store's ordinary days differ too much for a band around the middle
        case
            when earlier.earlier_days >= 6
                then (store_days.net_sales_amount / nullif(earlier.highest_net_sales_amount, 0))::numeric(14, 4)
        end as sales_ratio
    from store_days
    inner join earlier
        on store_days.store_id = earlier.store_id and store_days.business_date = earlier.business_date
    left join prices
        on store_days.store_id = prices.store_id and store_days.business_date = prices.business_date
)

select * from final
