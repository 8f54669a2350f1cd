-- Grain: one row per receipt that this build looks at: its merchandise units and money, from its lines.
with lines as (
    select * from {{ ref('int_receipts__lines') }}
),

final as (
    select
        receipt_id,
        count(*)::integer as lines,
        bool_or(is_merchandise) as has_merchandise,
        coalesce(sum(quantity) filter (where is_merchandise), 0)::numeric(14, 3) as units,
        -- gifts and other lines that cost nothing are no sold units
        coalesce(sum(quantity) filter (where is_merchandise and net_amount <> 0), 0)::numeric(14, 3) as paid_units,
        coalesce(sum(net_amount) filter (where is_merchandise), 0)::numeric(14, 2) as net_sales_amount
    from lines
    group by receipt_id
)

select * from final
