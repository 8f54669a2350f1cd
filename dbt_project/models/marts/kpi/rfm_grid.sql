-- Grain: one row per end of a month that is over and combination of the three scores, with members.
{{ config(
    unique_key=['as_of_date', 'r_score', 'f_score', 'm_score'],
    scope={'columns': ['month_start'], 'relation': 'int_kpi__scope_months'},
    may_be_empty=true,
) }}
-- depends_on: {{ ref('int_kpi__scope_months') }}

with thresholds as (
    select * from {{ ref('loyal_threshold') }}
),

scores as (
    select * from {{ ref('rfm_scores') }}
),

score_of as (
    select
        dimension,
        score,
        from_value,
        lead(from_value, 1, 1e9) over (partition by dimension order by from_value) as below
    from scores
),

-- nobody can be scored in a quarter without a threshold
buyers as (
    select
        buyers.*,
        -- what was returned of earlier purchases may exceed what was bought
        greatest(buyers.spend_365_amount / nullif(thresholds.loyal_threshold_amount, 0), 0) as share_of_threshold
    from {{ ref('int_kpi__month_buyers') }} as buyers
    inner join thresholds on date_trunc('quarter', buyers.month_start) = thresholds.quarter_start
    where thresholds.loyal_threshold_amount > 0
),

scored as (
    select
        buyers.month_start,
        r_scores.score as r_score,
        f_scores.score as f_score,
        m_scores.score as m_score,
        count(*) as members,
        sum(buyers.spend_365_amount) as net_amount
    from buyers
    inner join score_of as r_scores
        on
            r_scores.dimension = 'r'
            and buyers.days_since_purchase >= r_scores.from_value
            and buyers.days_since_purchase < r_scores.below
    inner join score_of as f_scores
        on
            f_scores.dimension = 'f'
            and buyers.purchase_days_365 >= f_scores.from_value
            and buyers.purchase_days_365 < f_scores.below
    inner join score_of as m_scores
        on
            m_scores.dimension = 'm'
            and buyers.share_of_threshold >= m_scores.from_value
            and buyers.share_of_threshold < m_scores.below
    group by buyers.month_start, r_scores.score, f_scores.score, m_scores.score
),

final as (
    select
        scored.month_start,
        (scored.month_start + interval '1 month')::date - 1 as as_of_date,
        scored.r_score,
        scored.f_score,
        scored.m_score,
        rfm_groups.group_code,
        rfm_groups.name_en as group_name,
        rfm_groups.name_zh as group_name_zh,
        scored.members::integer as members,
        scored.net_amount::numeric(14, 2) as net_amount
    from scored
    inner join {{ ref('rfm_groups') }} as rfm_groups
        on
            (scored.r_score >= 4) = rfm_groups.is_recent
            and (scored.f_score >= 4) = rfm_groups.is_frequent
            and (scored.m_score >= 4) = rfm_groups.is_valuable
)

select * from final
