-- Grain: one row per event of the calendar, level (store, region, hq) and its id: sales of its day against the mean of
-- the same weekday in four earlier weeks without an event, and what the seven days on either side of it had less or
-- more.
{{ config(
    unique_key=['event_date', 'event_type', 'event_name', 'level', 'level_id'],
    scope={'columns': ['event_date'], 'relation': 'int_kpi__touched_events'},
    may_be_empty=true,
) }}
-- depends_on: {{ ref('int_kpi__touched_events') }}
{%- set key = ['event_date', 'event_type', 'event_name'] %}
{%- set sums = ['on_amount', 'on_baseline', 'before_amount', 'before_baseline', 'after_amount', 'after_baseline'] %}

with reporting as (
    select * from {{ ref('reporting_period') }}
),

-- weeks in which something was on, store by store
event_weeks as (
    select distinct
        store_id,
        date_trunc('week', event_date)::date as week_start
    from {{ ref('int_kpi__events') }}
),

events as (
    select * from {{ ref('int_kpi__events') }}
    where is_observed and {{ in_scope('event_date', 'int_kpi__touched_events') }}
),

told_days as (
    select
        day_coverage.store_id,
        day_coverage.calendar_date
    from {{ ref('int_kpi__day_coverage') }} as day_coverage
    inner join reporting on day_coverage.calendar_date >= reporting.observed_from
    where day_coverage.is_covered
),

-- in which the store was open every day, and all is known of it
told_weeks as (
    select
        store_id,
        date_trunc('week', calendar_date)::date as week_start
    from told_days
    group by store_id, date_trunc('week', calendar_date)
    having count(*) = 7
),

event_days as (
    select distinct
        events.event_date,
        events.store_id
    from events
    inner join told_days on events.store_id = told_days.store_id and events.event_date = told_days.calendar_date
),

earlier_weeks as (
    select
        event_days.event_date,
        event_days.store_id,
        told_weeks.week_start,
        row_number() over (
            partition by event_days.event_date, event_days.store_id order by told_weeks.week_start desc
        ) as recency
    from event_days
    inner join told_weeks
        on
            event_days.store_id = told_weeks.store_id
            and told_weeks.week_start < date_trunc('week', (event_days.event_date - 7)::timestamp)::date
            and told_weeks.week_start >= date_trunc('week', (event_days.event_date - 7)::timestamp)::date - 26 * 7
    left join event_weeks
        on told_weeks.store_id = event_weeks.store_id and told_weeks.week_start = event_weeks.week_start
    where event_weeks.store_id is null
),

compared as (
    select
        event_date,
        store_id
    from earlier_weeks
    where recency = 4
),

-- each day from 7 before to 7 after, and the four that it is compared with
sales as (
    select
        compared.event_date,
        compared.store_id,
        day::date as day,
        coalesce(sales.net_sales_amount, 0) as amount
    from compared
    cross join
        lateral generate_series(
            (compared.event_date - 7)::timestamp, (compared.event_date + 7)::timestamp, interval '1 day'
        ) as day
    left join {{ ref('int_receipts__store_days') }} as sales
        on compared.store_id = sales.store_id and day::date = sales.business_date
),

weekdays as (
    select
        earlier_weeks.event_date,
        earlier_weeks.store_id,
        extract(isodow from sales.business_date)::integer as weekday,
        sum(sales.net_sales_amount) / 4 as amount
    from earlier_weeks
    inner join {{ ref('int_receipts__store_days') }} as sales
        on
            earlier_weeks.store_id = sales.store_id
            and earlier_weeks.week_start <= sales.business_date
            and earlier_weeks.week_start + 6 >= sales.business_date
    where earlier_weeks.recency <= 4
    group by earlier_weeks.event_date, earlier_weeks.store_id, extract(isodow from sales.business_date)
),

by_event_day as (
    select
        sales.event_date,
        sales.store_id,
        sum(sales.amount) filter (where sales.day = sales.event_date) as on_amount,
        sum(sales.amount) filter (where sales.day < sales.event_date) as before_amount,
        sum(sales.amount) filter (where sales.day > sales.event_date) as after_amount,
        coalesce(sum(weekdays.amount) filter (where sales.day = sales.event_date), 0) as on_baseline,
        coalesce(sum(weekdays.amount) filter (where sales.day < sales.event_date), 0) as before_baseline,
        coalesce(sum(weekdays.amount) filter (where sales.day > sales.event_date), 0) as after_baseline
    from sales
    left join weekdays
        on
            sales.event_date = weekdays.event_date
            and sales.store_id = weekdays.store_id
            and extract(isodow from sales.day)::integer = weekdays.weekday
    group by sales.event_date, sales.store_id
),

joined as (
    select
        events.*,
        {% for column in sums %}
            by_event_day.{{ column }}{% if not loop.last %},{% endif %}
        {% endfor %}
    from events
    inner join by_event_day
        on events.event_date = by_event_day.event_date and events.store_id = by_event_day.store_id
),

by_level as (
    select
        {{ key | join(', ') }},
        {{ level() }} as level,
        {{ level_id() }} as level_id,
        count(*) as stores,
        {% for column in sums %}
            sum({{ column }}) as {{ column }}{% if not loop.last %},{% endif %}
        {% endfor %}
    from joined
    group by {{ by_level(key) }}
),

final as (
    select
        by_level.event_date,
        by_level.event_type,
        by_level.event_name,
        by_level.level,
        by_level.level_id,
        by_level.stores::integer as stores,
        by_level.on_amount::numeric(14, 2) as net_sales_amount,
        by_level.on_baseline::numeric(14, 2) as baseline_amount,
        {{ rate('by_level.on_amount', 'by_level.on_baseline') }} as effect_ratio,
        (by_level.on_amount - by_level.on_baseline)::numeric(14, 2) as extra_amount,
        (by_level.before_amount - by_level.before_baseline)::numeric(14, 2) as before_amount,
        case
            when by_level.event_date + 7 <= reporting.as_of_date
                then by_level.after_amount - by_level.after_baseline
        end::numeric(14, 2) as after_amount,
        case
            when by_level.event_date + 7 <= reporting.as_of_date
                then
                    by_level.on_amount - by_level.on_baseline
                    + by_level.before_amount - by_level.before_baseline
                    + by_level.after_amount - by_level.after_baseline
        end::numeric(14, 2) as net_effect_amount,
        by_level.event_date + 7 <= reporting.as_of_date as is_final
    from by_level
    cross join reporting
)

select * from final
