-- Grain: one row per member and stage interval, past and future; the first rule that holds gives the stage. The
-- figures are those of the interval's first day.
with states as (
    select * from {{ ref('int_lifecycle__states') }}
),

rules as (
    select * from {{ ref('stage_rules') }}
),

ruled as (
    select
        states.*,
        rule.rule_id,
        rule.stage_code
    from states
    cross join lateral (
        select
            rules.rule_id,
            rules.stage_code
        from rules
        where
            states.valid_from >= rules.valid_from
            and states.valid_from < rules.valid_to
            and (rules.is_excluded is null or rules.is_excluded = states.is_excluded)
            and (rules.is_enrolled is null or rules.is_enrolled = states.is_enrolled)
            and (rules.n_min is null or states.purchase_days >= rules.n_min)
            and (rules.n_max is null or states.purchase_days <= rules.n_max)
            and (rules.r_min is null or states.days_since_purchase >= rules.r_min)
            and (rules.r_max is null or states.days_since_purchase < rules.r_max)
            and (rules.gap_min is null or states.gap_days >= rules.gap_min)
            and (rules.n_window_min is null or states.purchase_days_365 >= rules.n_window_min)
            and (rules.needs_loyal_spend is null or states.spend_365_amount >= states.loyal_threshold_amount)
        order by rules.rule_order
        limit 1
    ) as rule
),

marked as (
    select
        ruled.*,
        (lag(stage_code) over (partition by member_id order by valid_from) is distinct from stage_code) as is_start
    from ruled
),

intervals as (
    select
        marked.*,
        lead(valid_from, 1, date '9999-12-31') over (partition by member_id order by valid_from) as interval_to,
        lead(stage_code) over (partition by member_id order by valid_from) as next_stage_code
    from marked
    where is_start
),

final as (
    select
        member_id,
        stage_code,
        valid_from,
        interval_to as valid_to,
        rule_id,
        days_since_purchase,
        purchase_days,
        purchase_days_365,
        spend_365_amount,
        gap_days,
        loyal_threshold_amount,
        next_stage_code
    from intervals
)

select * from final
