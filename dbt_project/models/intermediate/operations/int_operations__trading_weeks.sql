-- Grain: one row per week that is over and store: how many whole weeks it had traded by the week's close, since it
-- opened or reopened after four weeks or more.
with weeks as (
    select
        week_start,
        store_id
    from {{ ref('int_operations__store_weeks') }}
),

stores as (
    select
        store_id,
        format,
        region,
        coalesce(opened_on, first_sale_on) as opened_on
    from {{ ref('dim_store') }}
),

closures as (
    select * from {{ ref('stg_reference__store_closures') }}
    where closed_to - closed_from + 1 >= 28
),

final as (
    select
        weeks.week_start,
        weeks.store_id,
        stores.format,
        stores.region,
        (weeks.week_start + 7 - greatest(stores.opened_on, max(closures.closed_to) + 1)) / 7 as trading_weeks,
        coalesce(max(closures.closed_to) + 1 > stores.opened_on, false) as is_reopened
    from weeks
    inner join stores on weeks.store_id = stores.store_id
    left join closures on weeks.store_id = closures.store_id and weeks.week_start + 6 >= closures.closed_from
    group by weeks.week_start, weeks.store_id, stores.format, stores.region, stores.opened_on
)

select * from final
