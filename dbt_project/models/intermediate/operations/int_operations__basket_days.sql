-- Grain: one row per business date, region and pair of categories that were bought together: on how many sale receipts.
-- A category with itself: receipts with it. Both empty: all receipts with merchandise.
{{ config(
    unique_key=['business_date', 'region', 'category', 'with_category'],
    scope={'columns': ['business_date'], 'relation': 'int_operations__touched_basket_days'},
) }}

with receipts as (
    select
        receipts.receipt_id,
        receipts.business_date,
        stores.region
    from {{ ref('fct_receipt') }} as receipts
    inner join {{ ref('dim_store') }} as stores on receipts.store_id = stores.store_id
    where
        receipts.qualifies_at_sale
        and {{ in_scope('receipts.business_date', 'int_operations__touched_basket_days', ['business_date']) }}
),

baskets as (
    select distinct
        receipts.receipt_id,
        receipts.business_date,
        receipts.region,
        products.category
    from receipts
    inner join {{ ref('fct_receipt_line') }} as lines on receipts.receipt_id = lines.receipt_id
    inner join {{ ref('dim_product') }} as products on lines.sku = products.sku
    where lines.is_merchandise and lines.units > 0 and products.category is not null
),

pairs as (
    select
        one.business_date,
        one.region,
        one.category,
        other.category as with_category
    from baskets as one
    inner join baskets as other on one.receipt_id = other.receipt_id
    union all
    select
        business_date,
        region,
        '' as category,
        '' as with_category
    from receipts
),

final as (
    select
        business_date,
        region,
        category,
        with_category,
        count(*)::integer as receipts
    from pairs
    group by business_date, region, category, with_category
)

select * from final
