-- Grain: one row per member and day on which it came to reach a higher rung by money: the receipt by which the spend
-- rose to what the rung asks for, and the day on which nothing of it was kept any more, if that was soon enough to take
-- the rung away again.
{{ config(indexes=[{'columns': ['member_id', 'promoted_on']}]) }}

with states as (
    select * from {{ ref('int_tiers__states') }}
),

rises as (
    select
        after.*,
        rules.spend_365_amount as spend_asked_amount
    from (
        select
            states.*,
            lag(rung, 1, 0) over (partition by member_id order by valid_from) as rung_before
        from states
    ) as after
    inner join {{ ref('int_tiers__rules') }} as rules
        on after.rung = rules.rung and after.valid_from >= rules.valid_from and after.valid_from < rules.valid_to
    where after.rung > after.rung_before and not rules.asks_nothing
),

-- the spend of the day before and after each of its receipts
receipts as (
    select
        rises.member_id,
        rises.valid_from as promoted_on,
        rises.rung,
        rises.spend_asked_amount,
        receipts.receipt_id,
        receipts.sold_at,
        receipts.net_sales_amount,
        receipts.unqualified_on,
        rises.spend_365_amount
        - sum(receipts.net_sales_amount) over of_day
        + sum(receipts.net_sales_amount) over so_far as spend_after
    from rises
    inner join {{ ref('fct_receipt') }} as receipts
        on rises.member_id = receipts.member_id and rises.valid_from = receipts.business_date
    where not receipts.is_staff_sale and not receipts.is_wholesale
    window
        of_day as (partition by rises.member_id, rises.valid_from),
        so_far as (
            partition by rises.member_id, rises.valid_from
            order by receipts.sold_at, receipts.receipt_id
            rows between unbounded preceding and current row
        )
),

crossing as (
    select distinct on (member_id, promoted_on) *
    from receipts
    where spend_after >= spend_asked_amount and spend_after - net_sales_amount < spend_asked_amount
    order by member_id asc, promoted_on asc, sold_at desc, receipt_id desc
),

final as (
    select
        member_id,
        promoted_on,
        receipt_id,
        case when unqualified_on <= promoted_on + {{ tier_parameter('reversal_days') }} then unqualified_on end
            as returned_on
    from crossing
)

select * from final
