-- Grain: one row per member and business date with money: sales, returns and exchanges, qualifying or not; never
-- voided, training, staff or wholesale.
with receipts as (
    select * from {{ ref('fct_receipt') }}
),

final as (
    select
        member_id,
        business_date,
        sum(net_sales_amount)::numeric(14, 2) as net_sales_amount
    from receipts
    where member_id is not null and not is_staff_sale and not is_wholesale
    group by member_id, business_date
)

select * from final
