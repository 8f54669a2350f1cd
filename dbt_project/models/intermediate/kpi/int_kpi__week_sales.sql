-- Grain: one row per week and selling store with receipts: receipts and money, by their own business date.
with receipts as (
    select
        weeks.week_start,
        receipts.*
    from {{ ref('week_close') }} as weeks
    inner join {{ ref('fct_receipt') }} as receipts
        on weeks.week_start <= receipts.business_date and weeks.closing_on >= receipts.business_date
    where {{ in_scope('weeks.week_start', 'int_kpi__scope_weeks') }}
),

final as (
    select
        week_start,
        store_id,
        count(*) filter (where qualifies_at_sale) as sale_receipts,
        count(*) filter (where qualifies_at_sale and is_member_receipt) as sale_receipts_member,
        coalesce(sum(net_sales_amount) filter (where qualifies_at_sale), 0) as sale_net_amount,
        coalesce(sum(net_sales_amount) filter (where qualifies_at_sale and is_member_receipt), 0)
            as sale_net_amount_member,
        sum(net_sales_amount) as net_sales_amount,
        coalesce(sum(net_sales_amount) filter (where is_member_receipt), 0) as net_sales_member_amount
    from receipts
    group by week_start, store_id
)

select * from final
