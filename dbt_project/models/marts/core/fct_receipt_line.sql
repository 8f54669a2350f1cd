-- Grain: one row per receipt line of the receipts in fct_receipt.
{{ config(
    unique_key=['receipt_id', 'line_no'],
    scope={'columns': ['receipt_id'], 'relation': 'int_receipts__touched'},
    lookups=[['business_date', 'store_id'], ['sku', 'business_date']],
) }}
-- depends_on: {{ ref('int_receipts__touched') }}

with lines as (
    select * from {{ ref('int_receipts__lines') }}
),

receipts as (
    select * from {{ ref('int_receipts__receipts') }}
),

final as (
    select
        lines.receipt_id,
        lines.line_no,
        lines.store_id,
        lines.business_date,
        receipts.member_id,
        lines.sku,
        lines.quantity as units,
        lines.unit_price,
        lines.discount_amount,
        lines.net_amount,
        lines.is_merchandise,
        lines.staff_id
    from lines
    inner join receipts on lines.receipt_id = receipts.receipt_id
)

select * from final
