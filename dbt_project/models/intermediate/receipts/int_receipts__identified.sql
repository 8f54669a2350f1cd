-- Grain: one row per receipt that this build looks at and that was neither voided nor a training, with the member whom
-- it names: by the card, else the account, else the phone that was the member's on that day, else because the member
-- claimed it.
with receipts as (
    select * from {{ ref('int_receipts__newest') }}
),

-- read by key, three times: put aside, it would be read whole
bridge as not materialized (
    select * from {{ ref('bridge_identity') }}
),

claims as (
    select * from {{ ref('int_receipts__claims') }}
),

flagged as (
    select
        receipts.*,
        bool_or(receipt_type = 'void') over (
            partition by store_id, register_id, business_date, receipt_no
        ) as is_voided
    from receipts
),

final as (
    select
        flagged.receipt_id,
        flagged.store_id,
        flagged.register_id,
        flagged.business_date,
        flagged.receipt_no,
        flagged.receipt_type,
        flagged.sold_at,
        flagged.channel,
        flagged.is_staff_sale,
        flagged.is_wholesale,
        flagged.original_receipt_id,
        flagged.gross_amount,
        flagged.discount_amount,
        flagged.net_amount,
        coalesce(card.member_id, account.member_id, phone.member_id, claims.member_id) as member_id
    from flagged
    left join bridge as card
        on
            flagged.member_card_no = card.identifier
            and card.identifier_kind = 'card'
            and flagged.business_date >= card.valid_from
            and flagged.business_date < card.valid_to
    left join bridge as account
        on
            flagged.account_id = account.identifier
            and account.identifier_kind = 'account'
            and flagged.business_date >= account.valid_from
            and flagged.business_date < account.valid_to
    left join bridge as phone
        on
            flagged.member_phone_token = phone.identifier
            and phone.identifier_kind = 'phone_token'
            and flagged.business_date >= phone.valid_from
            and flagged.business_date < phone.valid_to
    left join claims on flagged.receipt_id = claims.receipt_id
    where not flagged.is_voided and not flagged.is_training
)

select * from final
