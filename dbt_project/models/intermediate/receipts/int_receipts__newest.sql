-- Grain: one row per receipt key (store, register, business date, number, type) that this build looks at, in its
-- highest revision; a void, and what it voids, are still here.
with receipts as (
    select * from {{ ref('stg_pos__receipts') }}
    where
        {{ in_scope_by_index('business_date', 'int_receipts__touched') }}
        and {{ in_scope(
            ['business_date', 'store_id', 'register_id', 'receipt_no', 'receipt_type'], 'int_receipts__touched'
        ) }}
),

ranked as (
    select
        receipts.*,
        row_number() over (
            partition by store_id, register_id, business_date, receipt_no, receipt_type
            order by coalesce(revision, 0) desc, _delivered_on desc, _batch_id desc, _line_no desc
        ) as recency
    from receipts
),

final as (
    select
        {{ receipt_key('ranked') }} as receipt_id,
        store_id,
        register_id,
        business_date,
        receipt_no,
        receipt_type,
        sold_at,
        member_card_no,
        account_id,
        member_phone_token,
        channel,
        is_training,
        is_staff_sale,
        is_wholesale,
        {{ receipt_key('ranked', original=true) }} as original_receipt_id,
        gross_amount,
        discount_amount,
        net_amount
    from ranked
    where recency = 1
)

select * from final
