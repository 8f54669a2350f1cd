-- Grain: one row per member and stretch of days [valid_from, valid_to) over which the running figures are the same,
-- apart from the days since the last purchase; past and future (the future as if the member bought nothing more).
{{ config(indexes=[{'columns': ['member_id', 'valid_from']}]) }}

with building as (
    select as_of_date from {{ source('release', 'building') }}
),

timeline as (
    select * from {{ ref('int_lifecycle__timeline') }}
),

running as (
    select
        member_id,
        epoch_from,
        day,
        sum(purchases) over so_far as purchase_days,
        sum(purchases_in_window) over so_far as purchase_days_365,
        sum(spend_in_window) over so_far as spend_365_amount,
        max(last_purchased_on) over so_far as last_purchased_on,
        max(pause_to) over so_far - max(pause_from) over so_far as gap_days
    from timeline
    window so_far as (partition by member_id, epoch_from order by day)
),

in_epoch as (
    select
        running.*,
        running.day as valid_from,
        epochs.epoch_to,
        coalesce(running.day >= members.enrolled_on, false) as is_enrolled
    from running
    inner join {{ ref('int_lifecycle__epochs') }} as epochs
        on
            running.member_id = epochs.member_id
            and running.epoch_from = epochs.epoch_from
            and running.day >= epochs.epoch_from
            and running.day < epochs.epoch_to
    inner join {{ ref('int_members__members') }} as members on running.member_id = members.member_id
    where running.day >= members.known_from
),

thresholds as (
    select * from {{ ref('loyal_threshold') }}
),

exclusions as (
    select
        member_id,
        range_agg(daterange(excluded_from, excluded_to)) as periods
    from {{ ref('int_members__exclusions') }}
    where {{ in_scope('member_id', 'int_lifecycle__touched_members') }}
    group by member_id
),

with_reasons as (
    select
        in_epoch.member_id,
        in_epoch.valid_from,
        lead(in_epoch.valid_from, 1, date '9999-12-31') over (
            partition by in_epoch.member_id order by in_epoch.valid_from
        ) as valid_to,
        in_epoch.purchase_days::integer as purchase_days,
        in_epoch.purchase_days_365::integer as purchase_days_365,
        in_epoch.spend_365_amount::numeric(14, 2) as spend_365_amount,
        in_epoch.last_purchased_on,
        in_epoch.valid_from - in_epoch.last_purchased_on as days_since_purchase,
        -- the pause that ended recently; only looked at while the last purchase is recent, see the timeline
        in_epoch.gap_days,
        in_epoch.is_enrolled,
        thresholds.loyal_threshold_amount,
        coalesce(exclusions.periods @> in_epoch.valid_from, false) as is_excluded
    from in_epoch
    cross join building
    left join exclusions on in_epoch.member_id = exclusions.member_id
    -- the threshold of a quarter that has not begun is not known: the future is told with today's
    left join thresholds
        on thresholds.quarter_start = date_trunc('quarter', least(in_epoch.valid_from, building.as_of_date))::date
),

final as (
    select
        member_id,
        valid_from,
        valid_to,
        purchase_days,
        purchase_days_365,
        spend_365_amount,
        last_purchased_on,
        days_since_purchase,
        gap_days,
        loyal_threshold_amount,
        is_enrolled,
        is_excluded
    from with_reasons
)

select * from final
