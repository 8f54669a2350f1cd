-- Grain: one row per sale, return or exchange receipt that this build looks at, with its member. What a void
-- of the same key cancelled, training, and receipts of a member who was a test on that day are left out as if they
-- had never been.
{{ config(indexes=[{'columns': ['receipt_id']}]) }}

with identified as (
    select * from {{ ref('int_receipts__identified') }}
),

tests as (
    select * from {{ ref('int_members__flag_periods') }}
    where flag = 'test'
),

members as (
    select * from {{ ref('int_members__members') }}
),

exclusions as (
    select * from {{ ref('int_members__exclusions') }}
),

final as (
    select
        identified.receipt_id,
        identified.store_id,
        identified.register_id,
        identified.business_date,
        identified.receipt_no,
        identified.receipt_type,
        identified.sold_at,
        identified.member_id,
        coalesce(
            members.enrolled_on <= identified.business_date
            and exclusions.member_id is null
            and not identified.is_staff_sale
            and not identified.is_wholesale,
            false
        ) as is_member_receipt,
        identified.channel,
        identified.is_staff_sale,
        identified.is_wholesale,
        identified.original_receipt_id,
        identified.gross_amount,
        identified.discount_amount,
        identified.net_amount
    from identified
    left join members on identified.member_id = members.member_id
    left join exclusions
        on
            identified.member_id = exclusions.member_id
            and identified.business_date >= exclusions.excluded_from
            and identified.business_date < exclusions.excluded_to
    where
        not exists (
            select 1 from tests
            where
                tests.member_id = identified.member_id
                and tests.flagged_from <= identified.business_date
                and tests.flagged_to > identified.business_date
        )
)

select * from final
