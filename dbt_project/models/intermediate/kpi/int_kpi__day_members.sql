-- Grain: one row per day and service store with members who count: how many do at the day's close. The first day is the
-- one before the first period: where members stood when it began.
{{ config(
    unique_key=['day', 'store_id'],
    scope={'columns': ['day'], 'relation': 'int_kpi__touched_days'},
) }}

{%- set measures = [
    'valid_members', 'churn_base', 'active_members', 'purchasers_365', 'repeat_purchasers_365', 'engaged_members_30',
    'churned_12m', 'contactable_members', 'filled_fields',
] %}
{%- set types = {'day': 'date', 'store_id': 'text'} %}
{%- for measure in measures %}{% do types.update({measure: 'integer'}) %}{% endfor %}

with bounds as (
    select
        min(opening_on) as first_day,
        max(closing_on) as last_day
    from {{ ref('int_kpi__periods') }}
),

days as (
    select day::date as day
    from bounds
    cross join generate_series(bounds.first_day::timestamp, bounds.last_day::timestamp, interval '1 day') as day
    where {{ in_scope('day::date', 'int_kpi__touched_days', ['day']) }}
),

first_day as (
    select
        min(days.day) as day,
        min(days.day) = (select bounds.first_day from bounds) as is_very_first
    from days
),

sides as (
    select
        greatest(moves.moved_on, first_day.day) as day,
        side.store_id,
        side.stage_code,
        side.buyer_class,
        side.members
    from {{ ref('int_kpi__moves') }} as moves
    cross join first_day
    cross join
        lateral (
            values
            (moves.before_store_id, moves.before_stage_code, moves.before_buyer_class, -1),
            (moves.after_store_id, moves.after_stage_code, moves.after_buyer_class, 1)
        ) as side (store_id, stage_code, buyer_class, members)
    where
        side.stage_code is not null
        and moves.moved_on <= (select max(days.day) from days)
        and (first_day.is_very_first or moves.moved_on >= first_day.day)
),

flows as (
    select
        day,
        store_id,
        sum(members) filter (where {{ is_valid_stage('stage_code') }}) as valid_members,
        sum(members) filter (where {{ is_churn_base_stage('stage_code') }}) as churn_base,
        sum(members) filter (where {{ is_active_stage('stage_code') }}) as active_members,
        sum(members) filter (where {{ is_valid_stage('stage_code') }} and buyer_class >= 1) as purchasers_365,
        sum(members) filter (where {{ is_valid_stage('stage_code') }} and buyer_class >= 2) as repeat_purchasers_365,
        0 as engaged_members_30,
        0 as churned_12m,
        0 as contactable_members,
        0 as filled_fields
    from sides
    group by day, store_id
    union all
    select
        greatest(edge.day, first_day.day) as day,
        spans.store_id,
        0,
        0,
        0,
        0,
        0,
        sum(edge.members) filter (where spans.measure = 'engaged_30'),
        sum(edge.members) filter (where spans.measure = 'churned_12m'),
        sum(edge.members) filter (where spans.measure = 'contactable'),
        sum(edge.members * spans.weight) filter (where spans.measure = 'filled_fields')
    from {{ ref('int_kpi__spans') }} as spans
    cross join first_day
    cross join lateral (values (spans.valid_from, 1), (spans.valid_to, -1)) as edge (day, members)
    where
        edge.day <= (select max(days.day) from days)
        and (first_day.is_very_first or edge.day >= first_day.day)
    group by greatest(edge.day, first_day.day), spans.store_id
    {% if not is_full_build() -%}
    union all
    -- where members stood when the first of these days began
    select
        first_day.day,
        published.store_id,
        published.{{ measures | join(',\n        published.') }}
    from first_day
    inner join ({{ published_rows('int_kpi__day_members', types) }}) as published
        on first_day.day - 1 = published.day
    where not first_day.is_very_first
    {%- endif %}
),

stores as (
    select distinct store_id from flows
),

running as (
    select
        days.day,
        stores.store_id,
        {% for measure in measures %}
            sum(sum(flows.{{ measure }})) over by_store as {{ measure }}{% if not loop.last %},{% endif %}
        {% endfor %}
    from days
    cross join stores
    left join flows on days.day = flows.day and stores.store_id = flows.store_id
    group by days.day, stores.store_id
    window by_store as (partition by stores.store_id order by days.day)
),

final as (
    select
        day,
        store_id,
        {% for measure in measures %}
            coalesce({{ measure }}, 0)::integer as {{ measure }}{% if not loop.last %},{% endif %}
        {% endfor %}
    from running
    where {{ measures | join(' <> 0 or ') }} <> 0
)

select * from final
