-- Grain: one row per member, epoch and day on which something can change the member's stage, past and future, with
-- what that day adds to the running figures. The days by which time alone moves a member come from the rules.
{{ config(materialized='ephemeral') }}

with members as (
    select * from {{ ref('int_members__members') }}
    where {{ in_scope('member_id', 'int_lifecycle__touched_members') }}
),

sales as (
    select * from {{ ref('int_members__days') }}
    where {{ in_scope('member_id', 'int_lifecycle__touched_members') }}
),

epochs as (
    select * from {{ ref('int_lifecycle__epochs') }}
),

parameters as (
    select {{ lifecycle_parameter('window_days') }}::integer as window_days
),

days as (
    select * from {{ ref('int_lifecycle__purchases') }}
),

recency_steps as (
    select distinct r_min as after_days from {{ ref('stage_rules') }}
    where r_min > 0
),

pauses as (
    select distinct gap_ended_within as after_days from {{ ref('stage_rules') }}
    where gap_ended_within is not null
),

rule_dates as (
    select distinct valid_from from {{ ref('stage_rules') }}
),

events as (
    -- a purchase
    select
        member_id,
        epoch_from,
        purchased_on as day,
        1 as purchases,
        1 as purchases_in_window,
        0::numeric as spend_in_window,
        purchased_on as last_purchased_on,
        null::date as pause_from,
        null::date as pause_to
    from days
    union all
    -- it leaves the window
    select
        days.member_id, days.epoch_from, days.purchased_on + parameters.window_days, 0, -1, 0, null, null, null
    from days
    cross join parameters
    union all
    -- nothing was bought for long enough
    select
        days.member_id, days.epoch_from, days.purchased_on + recency_steps.after_days, 0, 0, 0, null, null, null
    from days
    cross join recency_steps
    where
        days.next_purchased_on is null
        or days.next_purchased_on >= days.purchased_on + recency_steps.after_days
    union all
    -- it is no longer among the recent ones: the pause between it and the next is the only one that can have been a
    -- long one and have ended recently, because the recent ones are closer together than that
    select
        days.member_id, days.epoch_from, days.purchased_on + pauses.after_days,
        0, 0, 0, null, days.purchased_on, days.next_purchased_on
    from days
    cross join pauses
    union all
    -- money comes, and leaves the window
    select sales.member_id, epochs.epoch_from, sales.business_date, 0, 0, sales.net_sales_amount, null, null, null
    from sales
    inner join epochs on sales.member_id = epochs.member_id
    where sales.net_sales_amount <> 0
    union all
    select
        sales.member_id, epochs.epoch_from, sales.business_date + parameters.window_days,
        0, 0, -sales.net_sales_amount, null, null, null
    from sales
    inner join epochs on sales.member_id = epochs.member_id
    cross join parameters
    where sales.net_sales_amount <> 0
    union all
    -- becoming known, and enrolment
    select members.member_id, epochs.epoch_from, change.day, 0, 0, 0, null, null, null
    from members
    inner join epochs on members.member_id = epochs.member_id
    cross join lateral (values (members.known_from), (members.enrolled_on)) as change (day)
    where change.day is not null
    union all
    -- an epoch begins
    select member_id, epoch_from, epoch_from as day, 0, 0, 0, null, null, null
    from epochs
    union all
    -- status changes
    select exclusions.member_id, epochs.epoch_from, change.day, 0, 0, 0, null, null, null
    from {{ ref('int_members__exclusions') }} as exclusions
    inner join epochs on exclusions.member_id = epochs.member_id
    cross join lateral (values (exclusions.excluded_from), (exclusions.excluded_to)) as change (day)
    union all
    -- a quarter brings its threshold
    select epochs.member_id, epochs.epoch_from, thresholds.quarter_start, 0, 0, 0, null, null, null
    from epochs
    inner join members on epochs.member_id = members.member_id
    inner join {{ ref('loyal_threshold') }} as thresholds on members.known_from < thresholds.quarter_start
    union all
    -- a rule takes effect
    select epochs.member_id, epochs.epoch_from, rule_dates.valid_from, 0, 0, 0, null, null, null
    from epochs
    inner join members on epochs.member_id = members.member_id
    inner join rule_dates on members.known_from < rule_dates.valid_from
),

final as (
    select
        member_id,
        epoch_from,
        day,
        sum(purchases)::integer as purchases,
        sum(purchases_in_window)::integer as purchases_in_window,
        sum(spend_in_window) as spend_in_window,
        max(last_purchased_on) as last_purchased_on,
        max(pause_from) as pause_from,
        max(pause_to) as pause_to
    from events
    where day < date '9999-12-31'
    group by member_id, epoch_from, day
)

select * from final
