-- Grain: one row per claim of a receipt by an account, up to the as-of date. Dates are those of the store that sold.
with claims as (
    {{ active_rows('app', 'receipt_claims') }}
),

stores as (
    select * from {{ ref('stg_reference__stores') }}
),

building as (
    select as_of_date from {{ source('release', 'building') }}
),

keyed as (
    select
        claims.account_id,
        claims.store_id,
        claims.register_id,
        claims.business_date,
        claims.receipt_no,
        coalesce(claims.receipt_type, 'sale') as receipt_type,
        {{ instant('claims.claimed_at', "coalesce(stores.timezone, 'UTC')") }} as claimed_at,
        {{ business_date(
            instant('claims.claimed_at', "coalesce(stores.timezone, 'UTC')"),
            "coalesce(stores.timezone, 'UTC')",
            "coalesce(stores.day_cutoff, time '00:00')",
        ) }} as claimed_on
    from claims
    left join stores on claims.store_id = stores.store_id
),

final as (
    select
        account_id,
        {{ receipt_key('keyed') }} as receipt_id,
        store_id,
        register_id,
        business_date,
        receipt_no,
        receipt_type,
        claimed_at,
        claimed_on
    from keyed
    where claimed_on <= (select as_of_date from building)
)

select * from final
