-- Grain: one row per coupon and version of it. Versions count whenever they were written: what they say is dated by
-- itself, and a redemption after the as-of date is not known yet.
with coupons as (
    {{ active_rows('app', 'coupons') }}
),

building as (
    select as_of_date from {{ source('release', 'building') }}
),

dated as (
    select
        coupons.coupon_id,
        coupons.campaign_id,
        coupons.account_id,
        coupons.card_no,
        coupons.face_value,
        coupons.funding,
        {{ app_instant('coupons.issued_at') }} as issued_at,
        {{ app_date('coupons.issued_at') }} as issued_on,
        coupons.valid_to as expires_on,
        {{ app_instant('coupons.redeemed_at') }} as redeemed_at,
        {{ app_date('coupons.redeemed_at') }} as redeemed_on,
        coupons.store_id,
        {{ referred_receipt('coupons') }} as receipt_id,
        {{ app_instant('coupons.updated_at') }} as changed_at,
        coupons._delivered_on,
        coupons._batch_id,
        coupons._line_no
    from coupons
),

final as (
    select
        dated.coupon_id,
        dated.campaign_id,
        dated.account_id,
        dated.card_no,
        dated.face_value,
        dated.funding,
        dated.issued_at,
        dated.issued_on,
        dated.expires_on,
        case when dated.redeemed_on <= building.as_of_date then dated.redeemed_at end as redeemed_at,
        case when dated.redeemed_on <= building.as_of_date then dated.redeemed_on end as redeemed_on,
        case when dated.redeemed_on <= building.as_of_date then dated.store_id end as redeemed_store_id,
        case when dated.redeemed_on <= building.as_of_date then dated.receipt_id end as receipt_id,
        -- that of the issue; of a coupon of which only the redemption is told, that one
        coalesce(dated.issued_on, dated.redeemed_on, dated._delivered_on) as business_date,
        dated.changed_at,
        dated._delivered_on,
        dated._batch_id,
        dated._line_no
    from dated
    cross join building
)

select * from final
