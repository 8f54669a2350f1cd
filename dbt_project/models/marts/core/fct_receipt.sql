-- Grain: one row per receipt (sale, return, exchange) that was not voided and is no training.
{{ config(
    unique_key=['receipt_id'],
    scope={'columns': ['receipt_id'], 'relation': 'int_receipts__touched'},
    lookups=[['business_date'], ['store_id', 'business_date'], ['member_id', 'business_date']],
) }}
-- depends_on: {{ ref('int_receipts__touched') }}

with receipts as (
    select * from {{ ref('int_receipts__receipts') }}
),

units as (
    select * from {{ ref('int_receipts__units') }}
),

returned as (
    select * from {{ ref('int_receipts__returned') }}
),

joined as (
    select
        receipts.*,
        coalesce(units.lines, 0) as lines,
        coalesce(units.units, 0) as units,
        coalesce(units.paid_units, 0) as paid_units,
        coalesce(units.net_sales_amount, 0) as net_sales_amount,
        returned.unqualified_on,
        receipts.receipt_type = 'return' and not exists (
            select 1 from {{ ref('int_receipts__receipts') }} as sold
            where sold.receipt_id = receipts.original_receipt_id
        ) as is_sale_unknown,
        receipts.receipt_type = 'sale'
        and not receipts.is_staff_sale
        and not receipts.is_wholesale
        and coalesce(units.units, 0) > 0
        -- a receipt that is negative in total is no sale, whatever it calls itself
        and coalesce(units.net_sales_amount, 0) >= 0 as qualifies_at_sale
    from receipts
    left join units on receipts.receipt_id = units.receipt_id
    left join returned on receipts.receipt_id = returned.receipt_id
),

final as (
    select
        receipt_id,
        store_id,
        register_id,
        business_date,
        receipt_no,
        receipt_type,
        sold_at,
        channel,
        member_id,
        is_member_receipt,
        is_staff_sale,
        is_wholesale,
        qualifies_at_sale,
        qualifies_at_sale and unqualified_on is null as is_qualifying,
        unqualified_on,
        original_receipt_id,
        is_sale_unknown,
        lines,
        units,
        paid_units,
        gross_amount,
        discount_amount,
        net_amount,
        net_sales_amount
    from joined
)

select * from final
