-- Grain: one row per member with a sale: how often at most its card was used in a day and in a month of days, and
-- whether that is more than one card is good for. It says so and takes nothing from any figure.
{{ config(
    unique_key=['member_id'],
    scope={'columns': ['member_id'], 'relation': 'int_facts__touched_buyers'},
) }}

with receipts as (
    select * from {{ ref('fct_receipt') }}
    where {{ in_scope('member_id', 'int_facts__touched_buyers') }}
),

purchase_days as (
    select * from {{ ref('int_members__days') }}
    where receipts > 0 and {{ in_scope('member_id', 'int_facts__touched_buyers') }}
),

rules as (
    select * from {{ ref('shared_card_rules') }}
),

days as (
    select
        member_id,
        business_date,
        count(*)::integer as receipts
    from receipts
    where member_id is not null and receipt_type = 'sale' and not is_staff_sale and not is_wholesale
    group by member_id, business_date
),

measured as (
    select
        days.member_id,
        days.business_date,
        days.receipts,
        count(recent.business_date)::integer as purchase_days,
        days.receipts > rules.receipts_a_day or count(recent.business_date) > rules.purchase_days as is_suspect
    from days
    inner join rules on days.business_date >= rules.valid_from and days.business_date < rules.valid_to
    left join purchase_days as recent
        on
            days.member_id = recent.member_id
            and days.business_date >= recent.business_date
            and days.business_date - recent.business_date < rules.window_days
    group by days.member_id, days.business_date, days.receipts, rules.receipts_a_day, rules.purchase_days
),

final as (
    select
        member_id,
        bool_or(is_suspect) as is_suspect_shared,
        max(receipts) as most_receipts_in_a_day,
        max(purchase_days) as most_purchase_days_in_window,
        (count(*) filter (where is_suspect))::integer as suspect_days,
        min(business_date) filter (where is_suspect) as first_suspect_on,
        max(business_date) filter (where is_suspect) as last_suspect_on
    from measured
    group by member_id
)

select * from final
