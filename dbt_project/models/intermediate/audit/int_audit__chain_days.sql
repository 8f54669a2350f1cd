-- Grain: one row per business date touched by this build: the chain's sales and receipts against the middle of the
-- same weekday in up to eight earlier weeks.
with touched as (
    select distinct business_date from {{ ref('int_release__touched_store_days') }}
),

looked_at as (
    select distinct touched.business_date - weeks.number * 7 as business_date
    from touched
    cross join generate_series(0, 8) as weeks (number)
),

days as (
    select
        store_days.business_date,
        sum(store_days.receipts) as receipts,
        sum(store_days.net_sales_amount) as net_sales_amount
    from {{ ref('int_receipts__store_days') }} as store_days
    inner join looked_at on store_days.business_date = looked_at.business_date
    group by store_days.business_date
),

final as (
    select
        days.business_date,
        days.receipts,
        days.net_sales_amount,
        count(before.*) as earlier_days,
        case
            when count(before.*) >= 4
                then (
                    days.net_sales_amount
                    / nullif(percentile_cont(0.5) within group (order by before.net_sales_amount), 0)::numeric
                )::numeric(14, 4)
        end as sales_ratio,
        case
            when count(before.*) >= 4
                then (
                    days.receipts / nullif(percentile_cont(0.5) within group (order by before.receipts), 0)::numeric
                )::numeric(14, 4)
        end as receipts_ratio
    from days
    inner join touched on days.business_date = touched.business_date
    left join days as before
        on
            days.business_date > before.business_date
            and days.business_date - before.business_date <= 56
            and (days.business_date - before.business_date) % 7 = 0
    group by days.business_date, days.receipts, days.net_sales_amount
)

select * from final
