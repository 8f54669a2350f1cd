-- Grain: one row per week, store, member of staff (none: nobody) and stage with members on the week's list: how many
-- were due, and what became of them, by Wednesday and in all. A store's target belongs to its rows by the members due,
-- in whole members that add up to it. Notes are those of the member of staff, else of the store.
{{ config(
    unique_key=['week_start', 'store_id', 'staff_id', 'stage_code'],
    scope={'columns': ['week_start'], 'relation': 'int_operations__touched_ops_weeks'},
    may_be_empty=true,
) }}
-- depends_on: {{ ref('int_operations__touched_ops_weeks') }}
{%- set phases = ['plan', 'do', 'check', 'act'] %}

with listed as (
    select * from {{ ref('repurchase_list') }}
    where {{ in_scope('week_start', 'int_operations__touched_ops_weeks') }}
),

targets as (
    {{ targets_of_weeks("metric = 'repurchased' and level = 'store'") }}
),

counted as (
    select
        week_start,
        store_id,
        staff_id,
        stage_code,
        count(*) as due,
        count(*) filter (where is_still_due) as still_due,
        count(contacted_on) as contacted,
        count(*) filter (where is_reached) as reached,
        count(*) filter (where is_accepted) as accepted,
        count(*) filter (where is_arrived) as arrived,
        count(repurchased_on) as repurchased,
        count(*) filter (where contacted_on <= week_start + 2) as contacted_by_wednesday,
        count(*) filter (where repurchased_on <= week_start + 2) as repurchased_by_wednesday,
        count(*) filter (where stage_code <> stage_code_after) as moved,
        sum(net_amount) as net_amount
    from listed
    group by week_start, store_id, staff_id, stage_code
),

told as (
    select
        counted.*,
        targets.target_value
    from counted
    left join targets on counted.week_start = targets.week_start and counted.store_id = targets.level_id
),

shared_out as (
    {{ largest_remainder(
        'told', ['week_start', 'store_id'], 'target_value', 'due', 1, ['staff_id asc', 'stage_code asc']
    ) }}
),

notes as (
    select
        week_start,
        store_id,
        staff_id,
        {% for phase in phases %}
            max(text) filter (where phase = '{{ phase }}') as {{ phase }}_note{% if not loop.last %},{% endif %}
        {% endfor %}
    from {{ ref('stg_reference__ops_notes') }}
    group by week_start, store_id, staff_id
),

final as (
    select
        shared_out.week_start,
        shared_out.store_id,
        shared_out.staff_id,
        shared_out.stage_code,
        shared_out.due::integer as due,
        shared_out.still_due::integer as still_due,
        shared_out.part::integer as target,
        shared_out.contacted::integer as contacted,
        shared_out.reached::integer as reached,
        shared_out.accepted::integer as accepted,
        shared_out.arrived::integer as arrived,
        shared_out.repurchased::integer as repurchased,
        shared_out.contacted_by_wednesday::integer as contacted_by_wednesday,
        shared_out.repurchased_by_wednesday::integer as repurchased_by_wednesday,
        shared_out.moved::integer as moved,
        shared_out.net_amount::numeric(14, 2) as net_amount,
        {{ rate('shared_out.contacted', 'shared_out.due') }} as contact_rate,
        {{ rate('shared_out.reached', 'shared_out.contacted') }} as reach_rate,
        {{ rate('shared_out.repurchased', 'shared_out.due') }} as repurchase_rate,
        {% for phase in phases %}
            coalesce(own.{{ phase }}_note, of_store.{{ phase }}_note) as {{ phase }}_note
            {%- if not loop.last %},{% endif %}
        {% endfor %}
    from shared_out
    left join notes as own
        on
            shared_out.week_start = own.week_start
            and shared_out.store_id = own.store_id
            and shared_out.staff_id = own.staff_id
    left join notes as of_store
        on
            shared_out.week_start = of_store.week_start
            and shared_out.store_id = of_store.store_id
            and of_store.staff_id is null
)

select * from final
