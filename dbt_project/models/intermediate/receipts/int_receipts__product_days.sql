-- Grain: one row per product and business date on which a member bought or returned it: units and money of the lines
-- that count as net sales, returns taken off.
{{ config(
    unique_key=['sku', 'business_date'],
    scope={'columns': ['sku', 'business_date'], 'relation': 'int_release__touched_product_days'},
) }}

with lines as (
    select * from {{ ref('fct_receipt_line') }}
    where
        member_id is not null
        and is_merchandise
        and {{ in_scope(['sku', 'business_date'], 'int_release__touched_product_days') }}
),

final as (
    select
        sku,
        business_date,
        sum(units)::numeric(14, 3) as units,
        sum(net_amount)::numeric(14, 2) as net_amount
    from lines
    where sku is not null
    group by sku, business_date
)

select * from final
