-- Grain: one row per receipt that a member claimed in time: the first claim, by whom the account was on its day.
with claims as (
    select * from {{ ref('stg_app__receipt_claims') }}
    where
        {{ in_scope_by_index('business_date', 'int_receipts__touched') }}
        and {{ in_scope(
            ['business_date', 'store_id', 'register_id', 'receipt_no', 'receipt_type'], 'int_receipts__touched'
        ) }}
),

bridge as (
    select * from {{ ref('bridge_identity') }}
),

final as (
    select distinct on (claims.receipt_id)
        claims.receipt_id,
        bridge.member_id
    from claims
    inner join bridge
        on
            claims.account_id = bridge.identifier
            and bridge.identifier_kind = 'account'
            and claims.claimed_on >= bridge.valid_from
            and claims.claimed_on < bridge.valid_to
    where claims.claimed_on - claims.business_date between 0 and {{ lifecycle_parameter('claim_days') }}
    order by claims.receipt_id asc, claims.claimed_at asc, claims.account_id asc
)

select * from final
