-- Grain: one row per member, measure, service store and stretch of closes (end exclusive) at which the member counts for
-- the measure in that store; past and future.
-- engaged_30: valid, and a deliberate event in the app or a reply in the 30 days that end with the close.
-- churned_12m: it had bought within a year 365 days before the close, in the store of then, and since has gone a year
-- without a purchase or closed its account.
{{ config(
    unique_key=['member_id', 'measure', 'valid_from', 'store_id'],
    scope={'columns': ['member_id'], 'relation': 'int_kpi__touched_span_members'},
) }}

with moves as (
    select * from {{ ref('int_kpi__moves') }}
    where {{ in_scope('member_id', 'int_kpi__touched_span_members') }}
),

standings as (
    select
        member_id,
        after_stage_code as stage_code,
        after_store_id as store_id,
        daterange(
            moved_on, lead(moved_on, 1, date '9999-12-31') over (partition by member_id order by moved_on)
        ) as period
    from moves
),

leavings as (
    select
        member_id,
        range_agg(daterange(moved_on, moved_on + 365)) as periods
    from moves
    where
        (after_is_lapsed and before_is_lapsed is distinct from true)
        or (after_is_closed and before_is_closed is distinct from true)
    group by member_id
),

year_ago as (
    select
        member_id,
        store_id,
        daterange(lower(period) + 365, least(upper(period), date '9998-01-01') + 365) as period
    from standings
    where {{ is_churn_base_stage('stage_code') }}
),

deeds as (
    select
        member_id,
        business_date
    from {{ ref('fct_app_event_day') }}
    where is_deliberate and member_id is not null and {{ in_scope('member_id', 'int_kpi__touched_span_members') }}
    union
    select
        contacts.member_id,
        {{ business_date(
            'contacts.replied_at',
            app_clock('timezone', "'Asia/Shanghai'"),
            app_clock('day_cutoff', "time '00:00'")
        ) }} as business_date
    from {{ ref('fct_contact') }} as contacts
    where
        contacts.replied_at is not null
        and contacts.member_id is not null
        and {{ in_scope('contacts.member_id', 'int_kpi__touched_span_members') }}
),

engagements as (
    select
        member_id,
        range_agg(daterange(business_date, business_date + 30)) as periods
    from deeds
    group by member_id
),

overlaps as (
    select
        standings.member_id,
        'engaged_30' as measure,
        standings.store_id,
        range_agg(datemultirange(standings.period) * engagements.periods) as periods
    from standings
    inner join engagements on standings.member_id = engagements.member_id
    where {{ is_valid_stage('standings.stage_code') }} and engagements.periods && standings.period
    group by standings.member_id, standings.store_id
    union all
    select
        year_ago.member_id,
        'churned_12m' as measure,
        year_ago.store_id,
        range_agg(datemultirange(year_ago.period) * leavings.periods) as periods
    from year_ago
    inner join leavings on year_ago.member_id = leavings.member_id
    where leavings.periods && year_ago.period
    group by year_ago.member_id, year_ago.store_id
),

final as (
    select
        overlaps.member_id,
        overlaps.measure,
        overlaps.store_id,
        lower(period) as valid_from,
        upper(period) as valid_to
    from overlaps
    cross join lateral unnest(overlaps.periods) as period
)

select * from final
