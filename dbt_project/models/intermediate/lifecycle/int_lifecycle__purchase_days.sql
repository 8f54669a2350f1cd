-- Grain: one row per member and purchase day that counted at some time: from purchased_on until the day before
-- until_on, when the last of its receipts stopped qualifying (9999-12-31: it still counts).
with receipts as (
    select * from {{ ref('fct_receipt') }}
),

days as (
    select
        member_id,
        business_date as purchased_on,
        max(coalesce(unqualified_on, date '9999-12-31')) as until_on
    from receipts
    where qualifies_at_sale and member_id is not null
    group by member_id, business_date
),

final as (
    select * from days
    where until_on > purchased_on
)

select * from final
