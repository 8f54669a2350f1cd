-- Grain: one row per referral up to the as-of date.
with referrals as (
    {{ active_rows('app', 'referrals') }}
),

building as (
    select as_of_date from {{ source('release', 'building') }}
),

final as (
    select
        referral_id,
        referrer as referrer_identifier,
        referee as referee_identifier,
        {{ app_instant('at') }} as referred_at,
        {{ app_date('at') }} as business_date
    from referrals
    where {{ app_date('at') }} <= (select as_of_date from building)
)

select * from final
