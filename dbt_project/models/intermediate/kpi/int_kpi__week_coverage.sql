-- Grain: one row per week and store: is every day on which the store was open covered by a landed batch of receipts
-- and one of lines (its own, or one for the whole chain)?
with weeks as (
    select * from {{ ref('week_close') }}
),

stores as (
    select * from {{ ref('dim_store') }}
),

dates as (
    select * from {{ ref('dim_date') }}
),

closures as (
    select * from {{ ref('stg_reference__store_closures') }}
),

-- a chain-wide batch covers each store, a store's own batch that store
covered as (
    select
        business_date,
        store_id
    from {{ source('ops', 'batch') }}
    where state = 'loaded' and source = 'pos' and feed in ('receipts', 'receipt_lines')
    group by business_date, store_id
    having count(distinct feed) = 2
),

final as (
    select
        weeks.week_start,
        stores.store_id,
        bool_and(covered.business_date is not null) as is_covered
    from weeks
    inner join dates on dates.calendar_date between weeks.week_start and weeks.closing_on
    inner join stores
        on
            dates.calendar_date >= coalesce(stores.opened_on, dates.calendar_date)
            and dates.calendar_date <= coalesce(stores.closed_on, dates.calendar_date)
    left join closures
        on
            stores.store_id = closures.store_id
            and dates.calendar_date between closures.closed_from and closures.closed_to
    left join covered
        on dates.calendar_date = covered.business_date and covered.store_id in ('all', stores.store_id)
    where closures.store_id is null
    group by weeks.week_start, stores.store_id
)

select * from final
