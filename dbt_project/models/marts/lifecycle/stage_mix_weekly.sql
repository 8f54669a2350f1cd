-- Grain: one row per week, service store, tier and stage with members at the week's close.
{{ config(unique_key=['week_start', 'store_id', 'tier', 'stage_code']) }}

with snapshot as (
    select * from {{ ref('member_stage_snapshot') }}
),

final as (
    select
        week_start,
        store_id,
        tier,
        stage_code,
        count(*)::integer as members
    from snapshot
    group by week_start, store_id, tier, stage_code
)

select * from final
