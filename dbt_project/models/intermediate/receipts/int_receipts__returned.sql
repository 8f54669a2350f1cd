-- Grain: one row per sale that is named by a return: the first date on which its returned merchandise units
-- reach its sold ones. Null while something of it is kept. Exchanges leave the sale as it is.
with receipts as (
    select * from {{ ref('int_receipts__receipts') }}
),

returns as (
    select * from receipts
    where receipt_type = 'return' and original_receipt_id is not null
),

lines as (
    select
        stg.receipt_id,
        stg.line_no,
        stg.quantity,
        row_number() over (
            partition by stg.receipt_id, stg.line_no
            order by stg._delivered_on desc, stg._batch_id desc, stg._line_no desc
        ) as recency
    from {{ ref('stg_pos__receipt_lines') }} as stg
    where
        stg.is_merchandise
        and (
            stg.receipt_id in (select receipt_id from returns)
            or stg.receipt_id in (select original_receipt_id from returns)
        )
),

units as (
    select
        receipt_id,
        sum(quantity) as units
    from lines
    where recency = 1
    group by receipt_id
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
    from returns
    inner join receipts as sold on returns.original_receipt_id = sold.receipt_id
    inner join units as sold_units on returns.original_receipt_id = sold_units.receipt_id
    inner join units as returned_units on returns.receipt_id = returned_units.receipt_id
),

final as (
    select
        receipt_id,
        min(returned_on) filter (where returned_so_far >= sold_units) as unqualified_on
    from returned
    group by receipt_id
)

select * from final
