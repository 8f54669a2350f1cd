-- Grain: one row per coupon, in its newest version.
{{ config(
    unique_key=['coupon_id'],
    scope={'columns': ['coupon_id'], 'relation': 'int_facts__touched_coupons'},
    fed_by=['app__coupons'],
    lookups=[['card_no'], ['account_id'], ['member_id']],
) }}

with versions as (
    select * from {{ ref('stg_app__coupons') }}
    where {{ in_scope_by_index('coupon_id', 'int_facts__touched_coupons') }}
),

building as (
    select as_of_date from {{ source('release', 'building') }}
),

newest as (
    select
        versions.*,
        row_number() over (
            partition by coupon_id
            order by changed_at desc nulls last, _delivered_on desc, _batch_id desc, _line_no desc
        ) as recency
    from versions
),

identified as (
    {{ identified('newest') }}
),

final as (
    select
        coupon_id,
        campaign_id,
        member_id,
        card_no,
        account_id,
        face_value::numeric(14, 2) as face_value_amount,
        funding,
        issued_at,
        issued_on,
        expires_on,
        redeemed_on is not null as is_redeemed,
        redeemed_at,
        redeemed_on,
        redeemed_store_id,
        receipt_id,
        business_date
    from identified
    where recency = 1 and business_date <= (select as_of_date from building)
)

select * from final
