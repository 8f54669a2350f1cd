-- Grain: one row per kind of period, period and selling store with receipts: receipts and money, by their own business
-- date.
with days as (
    select
        periods.period_type,
        periods.period_start,
        store_days.*
    from {{ ref('int_kpi__periods') }} as periods
    inner join {{ ref('int_receipts__store_days') }} as store_days
        on periods.period_start <= store_days.business_date and periods.closing_on >= store_days.business_date
    where {{ in_scope(['periods.period_type', 'periods.period_start'], 'int_kpi__scope_periods') }}
),

final as (
    select
        period_type,
        period_start,
        store_id,
        sum(sale_receipts) as sale_receipts,
        sum(sale_receipts_member) as sale_receipts_member,
        sum(sale_receipts_anonymous) as sale_receipts_anonymous,
        sum(sale_receipts_multi_unit) as sale_receipts_multi_unit,
        sum(sale_units) as sale_units,
        sum(sale_net_amount) as sale_net_amount,
        sum(sale_net_amount_member) as sale_net_amount_member,
        sum(sale_gross_amount) as sale_gross_amount,
        sum(sale_discount_amount) as sale_discount_amount,
        sum(net_sales_amount) as net_sales_amount,
        sum(net_sales_member_amount) as net_sales_member_amount
    from days
    group by period_type, period_start, store_id
)

select * from final
