-- Grain: one row per week, store, member of staff (none: nobody) and stage with members on the week's list: how many were
-- due, and what became of them, by Wednesday and in all. A store's target belongs to its rows by the members due, in
-- whole members that add up to it.
{{ config(
    unique_key=['week_start', 'store_id', 'staff_id', 'stage_code'],
    scope={'columns': ['week_start'], 'relation': 'int_operations__touched_ops_weeks'},
    may_be_empty=true,
) }}
-- depends_on: {{ ref('int_operations__touched_ops_weeks') }}

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

final as (
    select
        week_start,
        store_id,
        staff_id,
        stage_code,
        due::integer as due,
        still_due::integer as still_due,
        (units + case when remainder_no <= missing then 1 else 0 end)::integer as target,
        contacted::integer as contacted,
        reached::integer as reached,
        accepted::integer as accepted,
        arrived::integer as arrived,
        repurchased::integer as repurchased,
        contacted_by_wednesday::integer as contacted_by_wednesday,
        repurchased_by_wednesday::integer as repurchased_by_wednesday,
        moved::integer as moved,
        net_amount::numeric(14, 2) as net_amount,
        {{ rate('contacted', 'due') }} as contact_rate,
        {{ rate('reached', 'contacted') }} as reach_rate,
        {{ rate('repurchased', 'due') }} as repurchase_rate
    from ranked
)

select * from final
