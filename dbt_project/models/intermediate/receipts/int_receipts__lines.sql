-- Grain: one row per line of a receipt that this build looks at. A line that was sent again counts once, as sent last.
{{ config(indexes=[{'columns': ['receipt_id']}]) }}

with lines as (
    select * from {{ ref('stg_pos__receipt_lines') }}
    where
        {{ in_scope_by_index('business_date', 'int_receipts__touched') }}
        and {{ in_scope(
            ['business_date', 'store_id', 'register_id', 'receipt_no', 'receipt_type'], 'int_receipts__touched'
        ) }}
),

newest as (
    select
        lines.*,
        row_number() over (
            partition by business_date, store_id, register_id, receipt_no, receipt_type, line_no
            order by _delivered_on desc, _batch_id desc, _line_no desc
        ) as recency
    from lines
),

final as (
    select
        {{ receipt_key('newest') }} as receipt_id,
        line_no,
        store_id,
        business_date,
        sku,
        quantity,
        unit_price,
        discount_amount,
        net_amount,
        staff_id,
        is_merchandise
    from newest
    where recency = 1
)

select * from final
