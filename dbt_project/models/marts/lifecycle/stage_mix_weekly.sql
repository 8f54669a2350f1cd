-- Grain: one row per week, service store, tier and stage with members at the week's close.
{{ config(
    unique_key=['week_start', 'store_id', 'tier', 'stage_code'],
    scope={'columns': ['week_start'], 'relation': 'int_kpi__touched_weeks'},
) }}

with standing as (
    select * from {{ ref('int_kpi__week_standing') }}
    where {{ in_scope('week_start', 'int_kpi__touched_weeks') }}
),

weeks as (
    select * from {{ ref('week_close') }}
),

final as (
    select
        standing.week_start,
        standing.store_id,
        standing.tier,
        standing.stage_code,
        sum(standing.members)::integer as members
    from standing
    inner join weeks on standing.week_start = weeks.week_start
    group by standing.week_start, standing.store_id, standing.tier, standing.stage_code
)

select * from final
