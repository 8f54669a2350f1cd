-- Grain: one row per coupon that may differ from the highest published release: it was delivered or replaced since, or
-- its card or account is another member's now.
with delivered as (
    {{ changed_rows('app', 'coupons', ['fed.coupon_id']) }}
),

moved as (
    select * from {{ ref('int_facts__moved_identifiers') }}
),

published as not materialized (
    {{ published_rows('fct_coupon', {'coupon_id': 'text', 'card_no': 'text', 'account_id': 'text'}) }}
),

final as (
    select coupon_id from delivered
    union
    select published.coupon_id from published
    inner join moved on published.card_no = moved.identifier
    union
    select published.coupon_id from published
    inner join moved on published.account_id = moved.identifier
)

select * from final
