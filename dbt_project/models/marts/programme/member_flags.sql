-- Grain: one row per member with a purchase day: how much at most it bought in a day and in a month of days, and whether
-- that is more than one card is good for. It says so and takes nothing from any figure.
{{ config(
    unique_key=['member_id'],
    scope={'columns': ['member_id'], 'relation': 'int_facts__touched_buyers'},
) }}

with days as (
    select * from {{ ref('fct_purchase_day') }} as fct
    where {{ in_scope('fct.member_id', 'int_facts__touched_buyers') }}
),

rules as (
    select * from {{ ref('shared_card_rules') }}
),

measured as (
    select
        days.member_id,
        days.business_date,
        days.receipts,
        count(*)::integer as purchase_days,
        days.receipts > rules.receipts_a_day or count(*) > rules.purchase_days as is_suspect
    from days
    inner join rules on days.business_date >= rules.valid_from and days.business_date < rules.valid_to
    inner join days as recent
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
