-- Grain: one row per week and service store: members at opening and close, who came and who left. Stores by the close;
-- opening members, and who of them left, by the opening.
with weeks as (
    select * from {{ ref('week_close') }}
    where {{ in_scope('week_start', 'int_kpi__scope_weeks') }}
),

standing as (
    select * from {{ ref('int_kpi__week_standing') }}
    where
        week_start in (
            select weeks.week_start from weeks
            union
            select weeks.week_start - 7 from weeks
        )
),

week_members as (
    select * from {{ ref('int_kpi__week_members') }}
),

counts as (
    select
        weeks.week_start,
        standing.store_id,
        sum(standing.members) filter (where {{ is_valid_stage('standing.stage_code') }}) as opening_members,
        sum(standing.members) filter (where {{ is_churn_base_stage('standing.stage_code') }}) as churn_base,
        0 as closing_members,
        0 as active_members,
        0 as purchasers_365,
        0 as repeat_purchasers_365,
        0 as new_members,
        0 as churned_lapse,
        0 as churned_closed,
        0 as purchasing_members
    from weeks
    inner join standing on weeks.week_start - 7 = standing.week_start
    group by weeks.week_start, standing.store_id
    union all
    select
        weeks.week_start,
        standing.store_id,
        0,
        0,
        sum(standing.members) filter (where {{ is_valid_stage('standing.stage_code') }}),
        sum(standing.members) filter (where {{ is_active_stage('standing.stage_code') }}),
        sum(standing.members) filter (
            where {{ is_valid_stage('standing.stage_code') }} and standing.buyer_class >= 1
        ),
        sum(standing.members) filter (
            where {{ is_valid_stage('standing.stage_code') }} and standing.buyer_class >= 2
        ),
        0,
        0,
        0,
        0
    from weeks
    inner join standing on weeks.week_start = standing.week_start
    group by weeks.week_start, standing.store_id
    union all
    select week_start, closing_store_id, 0, 0, 0, 0, 0, 0, count(*), 0, 0, 0
    from week_members
    where is_new
    group by week_start, closing_store_id
    union all
    select
        week_start,
        opening_store_id,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        count(*) filter (where churned_by = 'lapse'),
        count(*) filter (where churned_by = 'closed'),
        0
    from week_members
    where churned_by is not null
    group by week_start, opening_store_id
    union all
    select week_start, store_id, 0, 0, 0, 0, 0, 0, 0, 0, 0, purchasing_members
    from {{ ref('int_kpi__week_purchasers') }}
),

final as (
    select
        week_start,
        store_id,
        coalesce(sum(opening_members), 0)::bigint as opening_members,
        coalesce(sum(churn_base), 0)::bigint as churn_base,
        coalesce(sum(closing_members), 0)::bigint as closing_members,
        coalesce(sum(active_members), 0)::bigint as active_members,
        coalesce(sum(purchasers_365), 0)::bigint as purchasers_365,
        coalesce(sum(repeat_purchasers_365), 0)::bigint as repeat_purchasers_365,
        coalesce(sum(new_members), 0)::bigint as new_members,
        coalesce(sum(churned_lapse), 0)::bigint as churned_lapse,
        coalesce(sum(churned_closed), 0)::bigint as churned_closed,
        coalesce(sum(purchasing_members), 0)::bigint as purchasing_members
    from counts
    group by week_start, store_id
)

select * from final
