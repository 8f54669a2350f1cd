-- Stores with sales in the week, with what they sold the week before; how many members bought there decides
-- whether a store may be shown by itself.
with buyers as (
    select
        store_id,
        count(distinct member_id) as buying_members
    from bi.fct_receipt
    where
        business_date between %(monday)s::date and %(monday)s::date + 6
        and member_id is not null
    group by store_id
)

select
    this_week.level_id as store_id,
    coalesce(dim_store.store_name, this_week.level_id) as store_name,
    this_week.net_sales_amount,
    week_before.net_sales_amount as net_sales_amount_before,
    this_week.sale_receipts,
    this_week.average_ticket_amount,
    this_week.purchasers_365,
    this_week.repurchase_rate,
    coalesce(buyers.buying_members, 0) as buying_members
from bi.kpi_weekly as this_week
left join bi.kpi_weekly as week_before
    on
        week_before.week_start = %(monday)s::date - 7
        and this_week.level = week_before.level
        and this_week.level_id = week_before.level_id
left join bi.dim_store as dim_store on this_week.level_id = dim_store.store_id
left join buyers on this_week.level_id = buyers.store_id
where
    this_week.level = 'store'
    and this_week.week_start = %(monday)s::date
    and (this_week.sale_receipts > 0 or this_week.net_sales_amount <> 0)
order by this_week.net_sales_amount desc, this_week.level_id
