-- Grain: one row per week and selling store with receipts: receipts and money, by their own business date.
with receipts as (
    select * from {{ ref('fct_receipt') }}
),

final as (
    select
        date_trunc('week', business_date)::date as week_start,
        store_id,
        count(*) filter (where qualifies_at_sale) as sale_receipts,
        count(*) filter (where qualifies_at_sale and is_member_receipt) as sale_receipts_member,
        coalesce(sum(net_sales_amount) filter (where qualifies_at_sale), 0) as sale_net_amount,
        coalesce(sum(net_sales_amount) filter (where qualifies_at_sale and is_member_receipt), 0)
            as sale_net_amount_member,
        sum(net_sales_amount) as net_sales_amount,
        coalesce(sum(net_sales_amount) filter (where is_member_receipt), 0) as net_sales_member_amount
    from receipts
    group by date_trunc('week', business_date)::date, store_id
)

select * from final
