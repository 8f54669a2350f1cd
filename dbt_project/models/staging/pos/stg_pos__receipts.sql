-- Grain: one row per receipt key (store, register, business date, number, type) up to the as-of date.
-- A receipt that was sent again with other content counts in its highest revision.
with receipts as (
    {{ active_rows('pos', 'receipts') }}
),

stores as (
    select * from {{ ref('stg_reference__stores') }}
),

building as (
    select as_of_date from {{ source('release', 'building') }}
),

newest as (
    select
        receipts.*,
        row_number() over (
            partition by store_id, register_id, business_date, receipt_no, receipt_type
            order by coalesce(revision, 0) desc, _delivered_on desc, _batch_id desc, _line_no desc
        ) as recency
    from receipts
    where business_date <= (select as_of_date from building)
),

final as (
    select
        {{ receipt_key('newest') }} as receipt_id,
        newest.store_id,
        newest.register_id,
        newest.business_date,
        newest.receipt_no,
        newest.receipt_type,
        {{ instant('newest.sold_at', "coalesce(stores.timezone, 'UTC')") }} as sold_at,
        newest.member_card_no,
        newest.account_id,
        newest.member_phone_token,
        newest.channel,
        coalesce(newest.is_training, false) as is_training,
        coalesce(newest.is_staff_sale, false) as is_staff_sale,
        coalesce(newest.is_wholesale, false) as is_wholesale,
        {{ receipt_key('newest', original=true) }} as original_receipt_id,
        newest.gross_amount,
        newest.discount_amount,
        newest.net_amount
    from newest
    left join stores on newest.store_id = stores.store_id
    where newest.recency = 1
)

select * from final
