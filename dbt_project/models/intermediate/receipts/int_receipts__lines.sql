-- Grain: one row per line of a receipt on a touched date. A line that was sent again counts once, as sent last.
{{ config(indexes=[{'columns': ['receipt_id']}]) }}

with lines as (
    select stg.*
    from {{ ref('stg_pos__receipt_lines') }} as stg
    inner join {{ ref('int_release__touched_dates') }} as touched on stg.business_date = touched.business_date
),

newest as (
    select
        lines.*,
        row_number() over (
            partition by receipt_id, line_no order by _delivered_on desc, _batch_id desc, _line_no desc
        ) as recency
    from lines
),

final as (
    select
        receipt_id,
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
