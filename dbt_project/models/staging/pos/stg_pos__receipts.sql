-- Grain: one row per receipt as landed, up to the as-of date; one that was sent again is still here twice.
with receipts as (
    {{ active_rows('pos', 'receipts') }}
),

stores as (
    select * from {{ ref('stg_reference__stores') }}
),

building as (
    select as_of_date from {{ source('release', 'building') }}
),

final as (
    select
        receipts.store_id,
        receipts.register_id,
        receipts.business_date,
        receipts.receipt_no,
        receipts.receipt_type,
        receipts.revision,
        {{ instant('receipts.sold_at', "coalesce(stores.timezone, 'UTC')") }} as sold_at,
        receipts.member_card_no,
        receipts.account_id,
        receipts.member_phone_token,
        receipts.channel,
        coalesce(receipts.is_training, false) as is_training,
        coalesce(receipts.is_staff_sale, false) as is_staff_sale,
        coalesce(receipts.is_wholesale, false) as is_wholesale,
        receipts.original_store_id,
        receipts.original_register_id,
        receipts.original_business_date,
        receipts.original_receipt_no,
        receipts.gross_amount,
        receipts.discount_amount,
        receipts.net_amount,
        receipts._delivered_on,
        receipts._batch_id,
        receipts._line_no
    from receipts
    left join stores on receipts.store_id = stores.store_id
    where receipts.business_date <= (select as_of_date from building)
)

select * from final
