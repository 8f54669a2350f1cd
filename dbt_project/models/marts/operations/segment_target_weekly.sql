-- Grain: one row per week with a list, service store, member of staff and stage with valid members on the Sunday
-- before, and one per store for all other sales (staff and stage none): what is expected, as it was told on that
-- Sunday, and the part of the store's target. Parts add up to the store's target to the cent.
{{ config(
    unique_key=['week_start', 'store_id', 'staff_id', 'stage_code'],
    scope={'columns': ['week_start'], 'relation': 'int_operations__touched_segment_weeks'},
    may_be_empty=true,
) }}
-- depends_on: {{ ref('int_operations__touched_segment_weeks') }}
{%- set told = {
    'week_start': 'date', 'store_id': 'text', 'staff_id': 'text', 'stage_code': 'text', 'members': 'integer',
    'expected_rate': 'numeric', 'spend_amount': 'numeric', 'expected_amount': 'numeric',
} %}

with published as (
    {{ published_rows('segment_target_weekly', told) }}
),

segments as (
    select
        {% for column in told %}
            published.{{ column }}{% if not loop.last %},{% endif %}
        {% endfor %}
    from published
    inner join {{ ref('int_operations__list_weeks') }} as lists on published.week_start = lists.week_start
    where {{ in_scope('published.week_start', 'int_operations__touched_segment_weeks') }}
    union all
    select
        {{ told.keys() | join(',\n        ') }}
    from {{ ref('int_operations__segments') }}
),

targets as (
    {{ targets_of_weeks("metric = 'net_sales_amount' and level = 'store'") }}
),

aimed as (
    select
        segments.*,
        targets.target_value
    from segments
    left join targets on segments.week_start = targets.week_start and segments.store_id = targets.level_id
),

shared_out as (
    {{ largest_remainder(
        'aimed', ['week_start', 'store_id'], 'target_value', 'expected_amount', 0.01,
        ['staff_id asc', 'stage_code asc'],
    ) }}
),

final as (
    select
        week_start,
        store_id,
        staff_id,
        stage_code,
        members,
        expected_rate::numeric(14, 6) as expected_rate,
        spend_amount::numeric(14, 2) as spend_amount,
        expected_amount::numeric(14, 2) as expected_amount,
        target_value::numeric(14, 2) as store_target_amount,
        part::numeric(14, 2) as target_amount
    from shared_out
)

select * from final
