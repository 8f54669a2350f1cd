-- Grain: one row per week, store, member of staff (none: nobody) and stage with members on the week's list: how many were
-- due, and what became of them, by Wednesday and in all. A store's target belongs to its rows by the members due, in
-- whole members that add up to it. Notes are those of the member of staff, else of the store.
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
    select
        week_start,
        level_id as store_id,
        sum(target_value) as target
    from {{ ref('target_decomposition') }}
    where metric = 'repurchased' and level = 'store' and is_in_force
    group by week_start, level_id
    having sum(days) = 7
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

floored as (
    select
        counted.*,
        targets.target as store_target,
        floor(targets.target * counted.due / sum(counted.due) over by_store) as units,
        targets.target * counted.due / sum(counted.due) over by_store as share
    from counted
    left join targets on counted.week_start = targets.week_start and counted.store_id = targets.store_id
    window by_store as (partition by counted.week_start, counted.store_id)
),

ranked as (
    select
        floored.*,
        store_target - sum(units) over (partition by week_start, store_id) as missing,
        row_number() over (
            partition by week_start, store_id
            order by share - units desc, staff_id asc, stage_code asc
        ) as remainder_no
    from floored
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
        ranked.week_start,
        ranked.store_id,
        ranked.staff_id,
        ranked.stage_code,
        ranked.due::integer as due,
        ranked.still_due::integer as still_due,
        (ranked.units + case when ranked.remainder_no <= ranked.missing then 1 else 0 end)::integer as target,
        ranked.contacted::integer as contacted,
        ranked.reached::integer as reached,
        ranked.accepted::integer as accepted,
        ranked.arrived::integer as arrived,
        ranked.repurchased::integer as repurchased,
        ranked.contacted_by_wednesday::integer as contacted_by_wednesday,
        ranked.repurchased_by_wednesday::integer as repurchased_by_wednesday,
        ranked.moved::integer as moved,
        ranked.net_amount::numeric(14, 2) as net_amount,
        {{ rate('ranked.contacted', 'ranked.due') }} as contact_rate,
        {{ rate('ranked.reached', 'ranked.contacted') }} as reach_rate,
        {{ rate('ranked.repurchased', 'ranked.due') }} as repurchase_rate,
        {% for phase in phases %}
            coalesce(own.{{ phase }}_note, of_store.{{ phase }}_note) as {{ phase }}_note
            {%- if not loop.last %},{% endif %}
        {% endfor %}
    from ranked
    left join notes as own
        on
            ranked.week_start = own.week_start
            and ranked.store_id = own.store_id
            and ranked.staff_id = own.staff_id
    left join notes as of_store
        on
            ranked.week_start = of_store.week_start
            and ranked.store_id = of_store.store_id
            and of_store.staff_id is null
)

select * from final
