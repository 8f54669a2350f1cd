-- Grain: one row per store and day on which it was open: is the day covered by a landed batch of receipts and one of
-- lines (its own, or one for the whole chain)?
with bounds as (
    select
        min(period_start) as first_day,
        max(closing_on) as last_day
    from {{ ref('int_kpi__periods') }}
),

stores as (
    select * from {{ ref('dim_store') }}
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

open_days as (
    select
        stores.store_id,
        day::date as calendar_date
    from bounds
    cross join stores
    cross join
        lateral generate_series(
            greatest(bounds.first_day, stores.opened_on)::timestamp,
            least(bounds.last_day, stores.closed_on)::timestamp,
            interval '1 day'
        ) as day
    where
        not exists (
            select 1 from closures
            where
                closures.store_id = stores.store_id
                and closures.closed_from <= day::date
                and closures.closed_to >= day::date
        )
),

final as (
    select
        open_days.store_id,
        open_days.calendar_date,
        for_all.business_date is not null or of_store.business_date is not null as is_covered
    from open_days
    left join covered as for_all
        on open_days.calendar_date = for_all.business_date and for_all.store_id = 'all'
    left join covered as of_store
        on open_days.calendar_date = of_store.business_date and open_days.store_id = of_store.store_id
)

select * from final
