-- Grain: one row per member and day on which its standing changes: stage, purchase days of a year (0, 1, 2 for more), a
-- lapse, a closed account, service store, tier; and the day of enrolment. As it was before and as it is from that day
-- on; past and future.
{{ config(
    unique_key=['member_id', 'moved_on'],
    scope={'columns': ['member_id'], 'relation': 'int_lifecycle__touched_members'},
    lookups=[['moved_on'], ['movement', 'moved_on']],
) }}

{%- set standing = ['stage_code', 'buyer_class', 'is_lapsed', 'is_closed', 'store_id', 'tier'] %}

with members as (
    select * from {{ ref('int_members__members') }}
    where {{ in_scope('member_id', 'int_lifecycle__touched_members') }}
),

ruled as (
    select
        member_id,
        valid_from,
        valid_to,
        stage_code,
        least(purchase_days_365, 2) as buyer_class,
        coalesce(days_since_purchase >= {{ lifecycle_parameter('window_days') }}, false) as is_lapsed
    from {{ ref('int_lifecycle__ruled') }}
),

stores as (
    select * from {{ ref('int_members__service_stores') }}
    where {{ in_scope('member_id', 'int_lifecycle__touched_members') }}
),

tiers as (
    select * from {{ ref('int_tiers__periods') }}
    where {{ in_scope('member_id', 'int_lifecycle__touched_members') }}
),

closures as (
    select * from {{ ref('int_members__flag_periods') }}
    where flag = 'closed' and {{ in_scope('member_id', 'int_lifecycle__touched_members') }}
),

closed_periods as (
    select
        member_id,
        range_agg(daterange(flagged_from, flagged_to)) as periods
    from closures
    group by member_id
),

other_days as (
    select
        member_id,
        valid_from as day
    from stores
    union
    select
        tiers.member_id,
        edge.day
    from tiers
    cross join lateral (values (tiers.valid_from), (tiers.valid_to)) as edge (day)
    union
    select
        closures.member_id,
        edge.day
    from closures
    cross join lateral (values (closures.flagged_from), (closures.flagged_to)) as edge (day)
),

days as (
    select
        member_id,
        valid_from as day,
        stage_code,
        buyer_class,
        is_lapsed
    from ruled
    union all
    select
        other_days.member_id,
        other_days.day,
        ruled.stage_code,
        ruled.buyer_class,
        ruled.is_lapsed
    from other_days
    inner join ruled
        on
            other_days.member_id = ruled.member_id
            and other_days.day > ruled.valid_from
            and other_days.day < ruled.valid_to
),

standings as (
    select
        days.member_id,
        days.day,
        days.stage_code,
        days.buyer_class,
        days.is_lapsed,
        stores.store_id,
        coalesce(tiers.tier, 'not_fed') as tier,
        coalesce(closed_periods.periods @> days.day, false) as is_closed
    from days
    inner join stores
        on days.member_id = stores.member_id and days.day >= stores.valid_from and days.day < stores.valid_to
    left join tiers
        on days.member_id = tiers.member_id and days.day >= tiers.valid_from and days.day < tiers.valid_to
    left join closed_periods on days.member_id = closed_periods.member_id
),

changes as (
    select
        member_id,
        day,
        {% for column in standing %}
            lag({{ column }}) over by_day as before_{{ column }},
            {{ column }} as after_{{ column }}{% if not loop.last %},{% endif %}
        {% endfor %}
    from standings
    window by_day as (partition by member_id order by day)
),

told as (
    select
        changes.*,
        coalesce(changes.day = members.enrolled_on, false) as is_enrolment,
        coalesce(changes.day = members.merged_on, false) as is_merge,
        coalesce({{ is_valid_stage('changes.before_stage_code') }}, false) as was_valid,
        {{ is_valid_stage('changes.after_stage_code') }} as is_valid
    from changes
    inner join members on changes.member_id = members.member_id
),

final as (
    select
        member_id,
        day as moved_on,
        is_enrolment,
        case
            when is_valid and not was_valid
                then case
                    when is_enrolment then 'enrolled'
                    when before_is_closed and not after_is_closed then 'reopened'
                    else 'included'
                end
            when was_valid and not is_valid
                then case
                    when is_merge then 'merged'
                    when after_is_closed then 'closed'
                    else 'excluded'
                end
            when was_valid and is_valid and before_store_id <> after_store_id then 'transferred'
        end as movement,
        {% for column in standing %}
            before_{{ column }},
        {% endfor %}
        {% for column in standing %}
            after_{{ column }}{% if not loop.last %},{% endif %}
        {% endfor %}
    from told
    where
        is_enrolment
        {% for column in standing %}
            or before_{{ column }} is distinct from after_{{ column }}
        {% endfor %}
)

select * from final
