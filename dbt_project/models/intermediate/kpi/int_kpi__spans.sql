-- Grain: one row per member, measure, service store and stretch of closes (end exclusive) at which the member counts
-- for the measure in that store, and what it counts for it; past and future.
-- engaged_30: valid, and a deliberate event in the app or a reply in the 30 days that end with the close.
-- churned_12m: it had bought within a year 365 days before the close, in the store of then, and since has gone a year
-- without a purchase or closed its account.
-- contactable, filled_fields: valid, and its profile says so; it counts as many filled fields as it has.
{{ config(
    unique_key=['member_id', 'measure', 'valid_from', 'store_id'],
    scope={'columns': ['member_id'], 'relation': 'int_kpi__touched_span_members'},
) }}

with moves as (
    select * from {{ ref('int_kpi__moves') }}
    where {{ in_scope('member_id', 'int_kpi__touched_span_members') }}
),

stood as (
    select
        member_id,
        moved_on,
        after_store_id as store_id,
        {{ is_valid_stage('after_stage_code') }} as is_valid,
        {{ is_churn_base_stage('after_stage_code') }} as is_churn_base
    from moves
),

compared as (
    select
        stood.*,
        lag(moved_on) over by_day as before_on,
        lag(store_id) over by_day as before_store_id,
        lag(is_valid) over by_day as was_valid,
        lag(is_churn_base) over by_day as was_churn_base
    from stood
    window by_day as (partition by member_id order by moved_on)
),

standings as (
    select
        member_id,
        store_id,
        is_valid,
        is_churn_base,
        moved_on as valid_from,
        lead(moved_on, 1, date '9999-12-31') over (partition by member_id order by moved_on) as valid_to
    from compared
    where
        before_on is null
        or store_id is distinct from before_store_id
        or is_valid is distinct from was_valid
        or is_churn_base is distinct from was_churn_base
),

profiles as (
    select * from {{ ref('int_members__profiles') }}
    where {{ in_scope('member_id', 'int_kpi__touched_span_members') }}
),

-- who may count for a measure, and in which store
candidates as (
    select
        member_id,
        'engaged_30' as measure,
        store_id,
        valid_from,
        valid_to
    from standings
    where is_valid
    union all
    select
        member_id,
        'churned_12m' as measure,
        store_id,
        valid_from + 365 as valid_from,
        least(valid_to, date '9998-01-01') + 365 as valid_to
    from standings
    where is_churn_base
),

deeds as (
    select
        member_id,
        'engaged_30' as measure,
        business_date as done_on,
        30 as counts_for
    from {{ ref('fct_app_event_day') }}
    where is_deliberate and member_id is not null and {{ in_scope('member_id', 'int_kpi__touched_span_members') }}
    union
    select
        contacts.member_id,
        'engaged_30' as measure,
        {{ app_day('contacts.replied_at') }} as done_on,
        30 as counts_for
    from {{ ref('fct_contact') }} as contacts
    where
        contacts.replied_at is not null
        and contacts.member_id is not null
        and {{ in_scope('contacts.member_id', 'int_kpi__touched_span_members') }}
    union
    select
        member_id,
        'churned_12m' as measure,
        moved_on as done_on,
        365 as counts_for
    from moves
    where
        (after_is_lapsed and before_is_lapsed is distinct from true)
        or (after_is_closed and before_is_closed is distinct from true)
),

-- deeds whose days touch are one stretch
marked as (
    select
        deeds.*,
        coalesce(
            done_on > lag(done_on) over (partition by member_id, measure order by done_on) + counts_for, true
        ) as is_start
    from deeds
),

numbered as (
    select
        marked.*,
        sum(is_start::integer) over (partition by member_id, measure order by done_on) as stretch_no
    from marked
),

stretches as (
    select
        member_id,
        measure,
        min(done_on) as valid_from,
        max(done_on + counts_for) as valid_to
    from numbered
    group by member_id, measure, stretch_no
),

final as (
    select
        candidates.member_id,
        candidates.measure,
        candidates.store_id,
        greatest(candidates.valid_from, stretches.valid_from) as valid_from,
        least(candidates.valid_to, stretches.valid_to) as valid_to,
        1 as weight
    from candidates
    inner join stretches
        on
            candidates.member_id = stretches.member_id
            and candidates.measure = stretches.measure
            and candidates.valid_from < stretches.valid_to
            and candidates.valid_to > stretches.valid_from
    union all
    select
        standings.member_id,
        counted.measure,
        standings.store_id,
        greatest(standings.valid_from, profiles.valid_from) as valid_from,
        least(standings.valid_to, profiles.valid_to) as valid_to,
        counted.weight
    from standings
    inner join profiles
        on
            standings.member_id = profiles.member_id
            and standings.valid_from < profiles.valid_to
            and standings.valid_to > profiles.valid_from
    cross join
        lateral (
            values ('contactable', profiles.is_contactable::integer), ('filled_fields', profiles.filled_fields)
        ) as counted (measure, weight)
    where standings.is_valid and counted.weight > 0
)

select * from final
