-- Grain: one row per sale that is named by a return: the first date on which its returned merchandise units
-- reach its sold ones. Null while something of it is kept. Exchanges leave the sale as it is.
with receipts as (
    select * from {{ ref('int_receipts__receipts') }}
),

units as (
    select * from {{ ref('int_receipts__units') }}
),

returned as (
    select
        returns.original_receipt_id as receipt_id,
        greatest(returns.business_date, sold.business_date) as returned_on,
        sold_units.units as sold_units,
        sum(-returned_units.units) over (
            partition by returns.original_receipt_id
            order by greatest(returns.business_date, sold.business_date)
        ) as returned_so_far
    from receipts as returns
    inner join receipts as sold on returns.original_receipt_id = sold.receipt_id
    -- a receipt without merchandise neither sells nor brings back any
    inner join units as sold_units on returns.original_receipt_id = sold_units.receipt_id and sold_units.has_merchandise
    inner join units as returned_units
        on returns.receipt_id = returned_units.receipt_id and returned_units.has_merchandise
    where returns.receipt_type = 'return'
),

final as (
    select
        receipt_id,
        min(returned_on) filter (where returned_so_far >= sold_units) as unqualified_on
    from returned
    group by receipt_id
)

select * from final
