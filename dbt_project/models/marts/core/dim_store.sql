-- Grain: one row per store that is known or sold something.
{{ config(unique_key=['store_id']) }}

with recursive stores as (
    select * from {{ ref('stg_reference__stores') }}
),

-- from one store to the next through the index, whatever the number of receipts
selling as (
    select min(store_id) as store_id from {{ ref('fct_receipt') }}
    union all
    select (
        select min(receipts.store_id) from {{ ref('fct_receipt') }} as receipts
        where receipts.store_id > selling.store_id
    )
    from selling
    where selling.store_id is not null
),

sales as (
    select
        selling.store_id,
        first_sale.business_date as first_sale_on,
        last_sale.business_date as last_sale_on
    from selling
    cross join
        lateral (
            select min(receipts.business_date) as business_date from {{ ref('fct_receipt') }} as receipts
            where receipts.store_id = selling.store_id
        ) as first_sale
    cross join
        lateral (
            select max(receipts.business_date) as business_date from {{ ref('fct_receipt') }} as receipts
            where receipts.store_id = selling.store_id
        ) as last_sale
    where selling.store_id is not null
),

-- members whose store was not fed are counted under this one, so that stores add up to the chain
serving as (
    select min(store_id) as store_id from {{ ref('int_members__service_stores') }}
    union all
    select (
        select min(stores.store_id) from {{ ref('int_members__service_stores') }} as stores
        where stores.store_id > serving.store_id
    )
    from serving
    where serving.store_id is not null
),

served as (
    select store_id from serving
    where store_id is not null
),

ids as (
    select store_id from stores
    union
    select store_id from sales
    union
    select store_id from served
),

final as (
    select
        ids.store_id,
        coalesce(stores.name, ids.store_id) as store_name,
        coalesce(stores.region, 'not_fed') as region,
        stores.city,
        stores.format,
        stores.timezone,
        stores.opened_on,
        stores.closed_on,
        sales.first_sale_on,
        sales.last_sale_on
    from ids
    left join stores on ids.store_id = stores.store_id
    left join sales on ids.store_id = sales.store_id
)

select * from final
