-- Grain: one row per member whose tier this build computes and stretch of days, past and future (the future as if the
-- member bought nothing more), over which what tiers ask for is the same: how much it is, and which rung it reaches.
-- Of members who can't have spent enough for any rung that asks for money, money is not looked at (null).
{{ config(indexes=[{'columns': ['member_id', 'valid_from']}]) }}

with openings as (
    select * from {{ ref('int_tiers__openings') }}
),

rules as (
    select * from {{ ref('int_tiers__rules') }}
),

sales as (
    select sales.*
    from {{ ref('int_members__days') }} as sales
    where {{ in_scope('sales.member_id', 'int_tiers__touched_members') }}
),

lowest_asked as (
    select min(spend_365_amount) as spend_365_amount from rules
    where not asks_nothing
),

spenders as (
    select member_id
    from sales
    group by member_id
    having sum(greatest(net_sales_amount, 0)) >= (select spend_365_amount from lowest_asked)
),

money as (
    select sales.*
    from sales
    inner join spenders on sales.member_id = spenders.member_id
),

purchases as (
    select
        days.member_id,
        days.business_date as purchased_on,
        days.counted_until as until_on
    from {{ ref('int_members__days') }} as days
    where
        days.counted_until is not null
        and exists (
            select 1 from rules
            where purchase_days_365 is not null
        )
        and {{ in_scope('days.member_id', 'int_tiers__touched_members') }}
),

tenures as (
    select distinct tenure_days from rules
    where tenure_days is not null
),

rule_dates as (
    select valid_from from rules
    union
    select valid_to from rules
),

events as (
    select
        openings.member_id,
        openings.judged_from as day,
        0::numeric as spend,
        0 as purchase_days,
        0 as engagement
    from openings
    union all
    select member_id, business_date, net_sales_amount, 0, 0
    from money
    union all
    select member_id, business_date + {{ lifecycle_parameter('window_days') }}::integer, -net_sales_amount, 0, 0
    from money
    union all
    select member_id, purchased_on, 0, 1, 0
    from purchases
    union all
    select member_id, least(until_on, purchased_on + {{ lifecycle_parameter('window_days') }}::integer), 0, -1, 0
    from purchases
    union all
    select member_id, business_date, 0, 0, events
    from {{ ref('int_tiers__engagement') }}
    union all
    select member_id, business_date + 30, 0, 0, -events
    from {{ ref('int_tiers__engagement') }}
    union all
    -- long enough a member
    select openings.member_id, openings.enrolled_on + tenures.tenure_days, 0, 0, 0
    from openings
    cross join tenures
    union all
    -- other rules
    select openings.member_id, rule_dates.valid_from, 0, 0, 0
    from openings
    cross join rule_dates
    where rule_dates.valid_from > openings.judged_from and rule_dates.valid_from < date '9999-12-31'
),

days as (
    select
        member_id,
        day,
        sum(spend) as spend,
        sum(purchase_days) as purchase_days,
        sum(engagement) as engagement
    from events
    group by member_id, day
),

running as (
    select
        member_id,
        day as valid_from,
        lead(day, 1, date '9999-12-31') over so_far as valid_to,
        sum(spend) over so_far as spend_365_amount,
        sum(purchase_days) over so_far as purchase_days_365,
        sum(engagement) over so_far as engagement_30
    from days
    window so_far as (partition by member_id order by day)
),

judged as (
    select
        running.*,
        running.valid_from - openings.enrolled_on as tenure_days,
        spenders.member_id is not null as is_spender
    from running
    inner join openings on running.member_id = openings.member_id and running.valid_from >= openings.judged_from
    left join spenders on running.member_id = spenders.member_id
),

final as (
    select
        member_id,
        valid_from,
        valid_to,
        case when is_spender then spend_365_amount::numeric(14, 2) end as spend_365_amount,
        coalesce((
            select max(rules.rung) from rules
            where
                judged.valid_from >= rules.valid_from
                and judged.valid_from < rules.valid_to
                -- returns of what was bought before the window leave nobody without the first tier
                and greatest(judged.spend_365_amount, 0) >= rules.spend_365_amount
                and judged.purchase_days_365 >= coalesce(rules.purchase_days_365, 0)
                and judged.tenure_days >= coalesce(rules.tenure_days, 0)
                and judged.engagement_30 >= coalesce(rules.engagement_30, 0)
        ), 0) as rung
    from judged
)

select * from final
