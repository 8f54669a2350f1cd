-- Grain: one row per week and selling store with receipts: receipts and money, by their own business date.
with days as (
    select
        weeks.week_start,
        store_days.*
    from {{ ref('week_close') }} as weeks
    inner join {{ ref('int_receipts__store_days') }} as store_days
        on weeks.week_start <= store_days.business_date and weeks.closing_on >= store_days.business_date
    where {{ in_scope('weeks.week_start', 'int_kpi__scope_weeks') }}
),

final as (
    select
        week_start,
        store_id,
        sum(sale_receipts) as sale_receipts,
        sum(sale_receipts_member) as sale_receipts_member,
        sum(sale_net_amount) as sale_net_amount,
        sum(sale_net_amount_member) as sale_net_amount_member,
        sum(net_sales_amount) as net_sales_amount,
        sum(net_sales_member_amount) as net_sales_member_amount
    from days
    group by week_start, store_id
)

select * from final
