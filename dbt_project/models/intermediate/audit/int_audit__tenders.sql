-- Grain: one row per receipt on a touched date of a store whose tenders of that date were fed: does what was paid tie
-- with what was sold? day_gap_rate: the gaps of the chain's day over its money, whatever their sign.
with receipts as (
    select * from {{ ref('fct_receipt') }}
    where {{ in_scope('business_date', 'int_facts__touched_tenders') }}
),

tenders as (
    select * from {{ ref('fct_tender') }}
    where {{ in_scope('business_date', 'int_facts__touched_tenders') }}
),

paid as (
    select
        receipt_id,
        count(*) as tenders,
        sum(amount) as amount
    from tenders
    group by receipt_id
),

fed as (
    select distinct
        store_id,
        business_date
    from tenders
),

gaps as (
    select
        receipts.receipt_id,
        receipts.store_id,
        receipts.business_date,
        receipts.net_amount,
        coalesce(paid.tenders, 0) as tenders,
        coalesce(paid.amount, 0) as tender_amount,
        coalesce(paid.amount, 0) - receipts.net_amount as gap_amount
    from receipts
    inner join fed on receipts.store_id = fed.store_id and receipts.business_date = fed.business_date
    left join paid on receipts.receipt_id = paid.receipt_id
),

final as (
    select
        gaps.*,
        (
            sum(abs(gap_amount)) over of_day / nullif(sum(abs(net_amount)) over of_day, 0)
        )::numeric(14, 4) as day_gap_rate
    from gaps
    window of_day as (partition by business_date)
)

select * from final
