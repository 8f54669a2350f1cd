-- Grain: one row per tier that the rules or the source system know, and one each for none and not_fed.
{{ config(unique_key=['tier']) }}

with recursive rungs as (
    select distinct
        tier,
        rung
    from {{ ref('int_tiers__rules') }}
),

-- from one tier to the next through the index, whatever the number of rows
landed as (
    select min(tier) as tier from {{ source('raw', 'pos__member_tiers') }}
    union all
    select (
        select min(told.tier) from {{ source('raw', 'pos__member_tiers') }} as told
        where told.tier > landed.tier
    )
    from landed
    where landed.tier is not null
),

fed as (
    select landed.tier
    from landed
    cross join
        lateral (
            select told.tier from {{ ref('stg_pos__member_tiers') }} as told
            where told.tier = landed.tier
            order by told.tier
            limit 1
        ) as first_told
),

known as (
    select
        coalesce(rungs.tier, fed.tier) as tier,
        rungs.rung
    from rungs
    full join fed on rungs.tier = fed.tier
    union all
    select
        outside.tier,
        outside.rung
    from (values ('not_fed', -2), ('none', -1)) as outside (tier, rung)
),

final as (
    select
        known.tier,
        -- a tier that no rule knows is below all that are earned
        row_number() over (order by coalesce(known.rung, 0), known.tier)::integer - 1 as sort_order,
        case known.tier
            when 'not_fed' then 'not fed'
            when 'none' then 'no tier'
            else coalesce(names.name_en, known.tier)
        end as name_en,
        case known.tier
            when 'not_fed' then '未提供'
            when 'none' then '无等级'
            else coalesce(names.name_zh, known.tier)
        end as name_zh,
        coalesce(known.rung > 0, false) as is_earned
    from known
    left join {{ ref('tiers') }} as names on known.tier = names.tier
)

select * from final
