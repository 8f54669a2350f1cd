-- Grain: one row per campaign and who pays for its coupons.
{{ config(unique_key=['campaign_id', 'funding'], fed_by=['app__coupons']) }}

with building as (
    select as_of_date from {{ source('release', 'building') }}
),

-- a coupon that can still be used says nothing yet
coupons as (
    select
        coupons.*,
        coupons.is_redeemed or coupons.expires_on < building.as_of_date as is_matured
    from {{ ref('fct_coupon') }} as coupons
    cross join building
),

final as (
    select
        coalesce(campaign_id, '(none)') as campaign_id,
        coalesce(funding, '(unknown)') as funding,
        count(*)::integer as issued,
        (count(*) filter (where is_redeemed))::integer as redeemed,
        (count(*) filter (where is_matured))::integer as matured,
        coalesce(sum(face_value_amount), 0)::numeric(14, 2) as issued_amount,
        coalesce(sum(face_value_amount) filter (where is_redeemed), 0)::numeric(14, 2) as redeemed_amount,
        {{ rate('count(*) filter (where is_redeemed)', 'count(*) filter (where is_matured)') }} as redemption_rate
    from coupons
    group by coalesce(campaign_id, '(none)'), coalesce(funding, '(unknown)')
)

select * from final
