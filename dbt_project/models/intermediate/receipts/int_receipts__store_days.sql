-- Grain: one row per selling store and business date with receipts: receipts and money. Weeks and the audits add up
-- from here, without reading the receipts of other days again.
{{ config(
    unique_key=['store_id', 'business_date'],
    scope={'columns': ['store_id', 'business_date'], 'relation': 'int_release__touched_store_days'},
    lookups=[['business_date']],
) }}

with receipts as (
    select * from {{ ref('fct_receipt') }}
    where {{ in_scope(['store_id', 'business_date'], 'int_release__touched_store_days') }}
),

final as (
    select
        store_id,
        business_date,
        count(*)::integer as receipts,
        (count(*) filter (where receipt_type = 'sale'))::integer as sales_rung,
        (count(*) filter (where qualifies_at_sale))::integer as sale_receipts,
        (count(*) filter (where qualifies_at_sale and is_member_receipt))::integer as sale_receipts_member,
        (count(*) filter (where qualifies_at_sale and member_id is null))::integer as sale_receipts_anonymous,
        (count(*) filter (where qualifies_at_sale and paid_units >= 2))::integer as sale_receipts_multi_unit,
        coalesce(sum(paid_units) filter (where qualifies_at_sale), 0)::numeric(14, 3) as sale_units,
        coalesce(sum(gross_amount) filter (where qualifies_at_sale), 0)::numeric(14, 2) as sale_gross_amount,
        coalesce(sum(discount_amount) filter (where qualifies_at_sale), 0)::numeric(14, 2) as sale_discount_amount,
        coalesce(sum(net_sales_amount) filter (where qualifies_at_sale), 0)::numeric(14, 2) as sale_net_amount,
        coalesce(sum(net_sales_amount) filter (where qualifies_at_sale and is_member_receipt), 0)::numeric(14, 2)
            as sale_net_amount_member,
        sum(net_sales_amount)::numeric(14, 2) as net_sales_amount,
        coalesce(sum(net_sales_amount) filter (where is_member_receipt), 0)::numeric(14, 2) as net_sales_member_amount
    from receipts
    group by store_id, business_date
)

select * from final
