-- Grain: one row per claim of the field, beside our own value where there is one. Never part of a figure.
{{ config(unique_key=['claim_id']) }}

with claims as (
    select * from {{ ref('benchmarks') }}
),

newest as (
    select
        mix.week_start,
        {{ rate(
            "sum(mix.members) filter (where stages.four_band in ('at_risk', 'dormant', 'churned'))", 'sum(mix.members)'
        ) }} as asleep_share
    from {{ ref('stage_mix_weekly') }} as mix
    inner join {{ ref('dim_stage') }} as stages on mix.stage_code = stages.stage_code
    where
        mix.week_start = (select max(weeks.week_start) from {{ ref('week_close') }} as weeks)
        and {{ is_valid_stage('mix.stage_code') }}
    group by mix.week_start
),

own as (
    select
        'asleep_share' as own_figure,
        week_start,
        coalesce(asleep_share, 0)::numeric(14, 6) as own_value
    from newest
),

final as (
    select
        claims.claim_id,
        claims.claim_en,
        claims.claim_zh,
        claims.claimed_value,
        claims.unit,
        own.own_value,
        own.week_start,
        claims.own_meaning_en,
        claims.own_meaning_zh
    from claims
    left join own on claims.own_figure = own.own_figure
)

select * from final
