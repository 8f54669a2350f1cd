-- Grain: one row per receipt touched by this build: does it tie with its lines, and does each line with itself?
with receipts as (
    select * from {{ ref('fct_receipt') }}
    where {{ in_scope('receipt_id', 'int_receipts__touched') }}
),

lines as (
    select * from {{ ref('fct_receipt_line') }}
    where {{ in_scope('receipt_id', 'int_receipts__touched') }}
),

final as (
    select
        receipts.receipt_id,
        receipts.store_id,
        receipts.business_date,
        receipts.net_amount - coalesce(sum(lines.net_amount), 0) as lines_gap_amount,
        -- a line without units has no unit price to check
        coalesce(
            max(abs(lines.units * lines.unit_price - lines.discount_amount - lines.net_amount))
            filter (where lines.units <> 0 and lines.unit_price is not null),
            0
        )::numeric(14, 2) as line_arithmetic_gap_amount
    from receipts
    left join lines on receipts.receipt_id = lines.receipt_id
    group by receipts.receipt_id, receipts.store_id, receipts.business_date, receipts.net_amount
)

select * from final
