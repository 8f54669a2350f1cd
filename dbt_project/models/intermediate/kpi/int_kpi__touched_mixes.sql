-- Grain: one row per week of whose purchasing members, their channels or their money something may differ from the
-- highest published release.
with step as (
    select * from {{ ref('int_release__step') }}
),

receipts as (
    {{ changes('fct_receipt', [
        'receipt_id', 'member_id', 'business_date', 'channel', 'is_member_receipt', 'qualifies_at_sale',
        'unqualified_on', 'net_sales_amount',
    ]) }}
),

-- a receipt that only came back counts as before until then
changed_receipts as (
    select
        member_id,
        business_date,
        case when count(*) = 2 then coalesce(min(unqualified_on), business_date) else business_date end as changed_from
    from receipts
    where member_id is not null
    group by
        receipt_id, member_id, business_date, channel, is_member_receipt, qualifies_at_sale, net_sales_amount
    having count(*) = 1 or count(distinct coalesce(unqualified_on, date '9999-12-31')) = 2
),

-- the channels of a year back are told wherever the member bought or brought back
found as (
    select date_trunc('week', receipts.business_date)::date as week_start
    from changed_receipts
    inner join {{ ref('fct_receipt') }} as receipts
        on
            changed_receipts.member_id = receipts.member_id
            -- a week is told as of its close
            and receipts.business_date > changed_receipts.changed_from - 7
            and receipts.business_date < changed_receipts.business_date + 365
    union
    select week_start from {{ ref('int_kpi__scope_weeks') }}
),

final as (
    select week_start from found
    where not (select step.is_full from step)
)

select * from final
