-- Grain: one row per week and service store at its close: valid members with a purchase in the week that stood
-- at its close.
with weeks as (
    select * from {{ ref('week_close') }}
    where {{ in_scope('week_start', 'int_kpi__scope_weeks') }}
),

purchasers as (
    select distinct
        weeks.week_start,
        weeks.closing_on,
        days.member_id
    from weeks
    -- what came back later was still a purchase at that close
    inner join {{ ref('int_members__days') }} as days
        on
            weeks.week_start <= days.business_date
            and weeks.closing_on >= days.business_date
            and weeks.closing_on < days.counted_until
),

standings as (
    select
        moves.member_id,
        moves.moved_on,
        lead(moves.moved_on, 1, date '9999-12-31') over (
            partition by moves.member_id order by moves.moved_on
        ) as moved_again_on,
        moves.after_store_id as store_id,
        moves.after_stage_code as stage_code
    from {{ ref('int_kpi__moves') }} as moves
    {% if not is_full_build() -%}
    where moves.member_id in (select purchasers.member_id from purchasers)
    {%- endif %}
),

final as (
    select
        purchasers.week_start,
        standings.store_id,
        count(*) as purchasing_members
    from purchasers
    inner join standings
        on
            purchasers.member_id = standings.member_id
            and purchasers.closing_on >= standings.moved_on
            and purchasers.closing_on < standings.moved_again_on
    where {{ is_valid_stage('standings.stage_code') }}
    group by purchasers.week_start, standings.store_id
)

select * from final
