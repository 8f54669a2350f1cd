-- Grain: one row per means of payment of a receipt in fct_receipt. One that was sent again counts once, as sent last.
{{ config(
    unique_key=['receipt_id', 'tender_no'],
    scope={'columns': ['receipt_id'], 'relation': 'int_facts__touched_tenders'},
    fed_by=['pos__tenders'],
) }}

with tenders as (
    select * from {{ ref('stg_pos__tenders') }}
    where
        -- the date is cheap to compare, the key of every tender ever is not
        {{ in_scope_by_index('business_date', 'int_facts__touched_tenders') }}
        and {{ in_scope('receipt_id', 'int_facts__touched_tenders') }}
),

newest as (
    select
        tenders.*,
        row_number() over (
            partition by receipt_id, tender_no order by _delivered_on desc, _batch_id desc, _line_no desc
        ) as recency
    from tenders
),

final as (
    select
        newest.receipt_id,
        newest.tender_no,
        receipts.store_id,
        receipts.business_date,
        receipts.receipt_type,
        receipts.member_id,
        newest.tender_type,
        newest.amount,
        newest.is_settled
    from newest
    inner join {{ ref('fct_receipt') }} as receipts on newest.receipt_id = receipts.receipt_id
    where newest.recency = 1
)

select * from final
