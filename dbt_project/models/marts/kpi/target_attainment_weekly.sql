-- Grain: one row per week, level (store, region, hq), its id and metric with a target. A view.
{{ config(materialized='published_view', unique_key=['week_start', 'level', 'level_id', 'metric']) }}

with kpis as (
    select * from {{ ref('kpi_weekly') }}
),

stores as (
    select * from {{ ref('dim_store') }}
),

told as (
    {{ targets_of_weeks("measured_by = 'kpi_weekly'") }}
),

own as (
    select
        told.week_start,
        told.level,
        told.level_id,
        told.metric,
        told.kind,
        told.target_value,
        told.target_to_date,
        (to_jsonb(kpis) ->> told.metric)::numeric(14, 6) as actual_value
    from told
    inner join kpis
        on told.week_start = kpis.week_start and told.level = kpis.level and told.level_id = kpis.level_id
),

added_up as (
    select
        own.week_start,
        place.level,
        place.level_id,
        own.metric,
        count(*) as stores,
        sum(own.target_value) as target_value,
        sum(own.target_to_date) as target_to_date,
        sum(coalesce(own.actual_value, 0)) as actual_value
    from own
    inner join stores on own.level_id = stores.store_id
    cross join lateral (values ('region', stores.region), ('hq', 'hq')) as place (level, level_id)
    left join own as of_the_chain
        on
            place.level = of_the_chain.level
            and own.week_start = of_the_chain.week_start
            and own.metric = of_the_chain.metric
    where
        own.level = 'store'
        and own.kind = 'flow'
        and of_the_chain.week_start is null
    group by own.week_start, place.level, place.level_id, own.metric
),

found as (
    select
        week_start,
        level,
        level_id,
        metric,
        'told' as basis,
        case when level = 'store' then 1 end as stores,
        target_value,
        target_to_date,
        actual_value
    from own
    union all
    select
        week_start,
        level,
        level_id,
        metric,
        'stores' as basis,
        stores,
        target_value,
        target_to_date,
        actual_value
    from added_up
),

-- as published: what is computed of them can be computed again
attained as (
    select
        week_start,
        level,
        level_id,
        metric,
        basis,
        stores::integer as stores,
        target_value::numeric(14, 4) as target_value,
        target_to_date::numeric(14, 4) as target_to_date,
        actual_value::numeric(14, 4) as actual_value
    from found
),

final as (
    select
        attained.week_start,
        attained.level,
        attained.level_id,
        attained.metric,
        attained.basis,
        attained.stores,
        attained.target_value,
        attained.target_to_date,
        attained.actual_value,
        {{ rate('attained.actual_value', 'attained.target_to_date') }} as attainment_rate,
        (attained.actual_value - attained.target_to_date)::numeric(14, 4) as gap_value,
        kpis.days_elapsed,
        kpis.is_complete
    from attained
    inner join kpis
        on
            attained.week_start = kpis.week_start
            and attained.level = kpis.level
            and attained.level_id = kpis.level_id
)

select * from final
