-- Grain: one row per store that is known or sold something.
{{ config(unique_key=['store_id']) }}

with stores as (
    select * from {{ ref('stg_reference__stores') }}
),

sales as (
    select
        store_id,
        min(business_date) as first_sale_on,
        max(business_date) as last_sale_on
    from {{ ref('fct_receipt') }}
    group by store_id
),

-- members whose store was not fed are counted under this one, so that stores add up to the chain
served as (
    select distinct service_store_id as store_id from {{ ref('int_members__members') }}
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
