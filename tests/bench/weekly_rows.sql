-- One week of the table that people keep instead of intervals: where each member stands at the close of a day, told by
-- everything that the member bought until then. {rules} is the CASE of the stage rules, the same as that of the models.
insert into bench.member_week
with purchases as (
    select
        member_id,
        business_date,
        business_date - lag(business_date) over (partition by member_id order by business_date) as gap_days
    from marts.int_members__days
    where business_date <= %(closing_on)s and counted_until > %(closing_on)s
),

counted as (
    select
        member_id,
        count(*)::integer as purchase_days,
        (count(*) filter (where %(closing_on)s - business_date < 365))::integer as purchase_days_365,
        max(business_date) as last_purchased_on,
        max(gap_days) filter (where %(closing_on)s - business_date < 90) as gap_days
    from purchases
    group by member_id
),

spent as (
    select
        member_id,
        sum(net_sales_amount) as spend_365_amount
    from marts.int_members__days
    where business_date <= %(closing_on)s and %(closing_on)s - business_date < 365
    group by member_id
),

excluded as (
    select distinct member_id
    from marts.int_members__exclusions
    where excluded_from <= %(closing_on)s and excluded_to > %(closing_on)s
),

states as (
    select
        members.member_id,
        %(closing_on)s::date as valid_from,
        coalesce(counted.purchase_days, 0) as purchase_days,
        coalesce(counted.purchase_days_365, 0) as purchase_days_365,
        coalesce(spent.spend_365_amount, 0)::numeric(14, 2) as spend_365_amount,
        %(closing_on)s::date - counted.last_purchased_on as days_since_purchase,
        counted.gap_days,
        coalesce(members.enrolled_on <= %(closing_on)s, false) as is_enrolled,
        excluded.member_id is not null as is_excluded,
        thresholds.loyal_threshold_amount
    from marts.int_members__members as members
    left join counted on members.member_id = counted.member_id
    left join spent on members.member_id = spent.member_id
    left join excluded on members.member_id = excluded.member_id
    left join marts.loyal_threshold as thresholds
        on thresholds.quarter_start = date_trunc('quarter', %(closing_on)s::timestamp)::date
    where members.known_from <= %(closing_on)s
),

judged as (
    select
        states.*,
        {rules} as rule_id
    from states
)

select
    judged.member_id,
    judged.valid_from as closing_on,
    rules.stage_code,
    judged.rule_id,
    judged.days_since_purchase,
    judged.purchase_days,
    judged.purchase_days_365,
    judged.spend_365_amount,
    judged.gap_days,
    judged.loyal_threshold_amount
from judged
inner join intermediate.stage_rules as rules on judged.rule_id = rules.rule_id
