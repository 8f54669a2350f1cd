-- Grain: one row per sale, return or exchange receipt up to the as-of date. What a void of the same key cancelled,
-- training, and receipts of a card that was a test card on that day are left out as if they had never been.
{{ config(indexes=[{'columns': ['receipt_id']}]) }}

with receipts as (
    select * from {{ ref('stg_pos__receipts') }}
),

flagged as (
    select
        receipts.*,
        bool_or(receipt_type = 'void') over (
            partition by store_id, register_id, business_date, receipt_no
        ) as is_voided
    from receipts
),

test_cards as (
    select * from {{ ref('int_members__flag_periods') }}
    where flag = 'test'
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
        flagged.member_card_no,
        flagged.channel,
        flagged.is_staff_sale,
        flagged.is_wholesale,
        flagged.original_receipt_id,
        flagged.gross_amount,
        flagged.discount_amount,
        flagged.net_amount
    from flagged
    left join test_cards
        on
            flagged.member_card_no = test_cards.member_id
            and flagged.business_date >= test_cards.flagged_from
            and flagged.business_date < test_cards.flagged_to
    where not flagged.is_voided and not flagged.is_training and test_cards.member_id is null
)

select * from final
