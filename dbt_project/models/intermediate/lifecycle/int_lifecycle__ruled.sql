-- Grain: one row per member and stretch of equal figures, with the first rule that holds and the stage that it gives.
{{ config(indexes=[{'columns': ['member_id']}]) }}

with states as (
    select * from {{ ref('int_lifecycle__states') }}
),

rules as (
    select * from {{ ref('stage_rules') }}
),

judged as (
    select
        states.*,
        {{ first_stage_rule('states') }} as rule_id
    from states
),

final as (
    select
        judged.member_id,
        judged.valid_from,
        judged.valid_to,
        judged.rule_id,
        rules.stage_code,
        judged.days_since_purchase,
        judged.purchase_days,
        judged.purchase_days_365,
        judged.spend_365_amount,
        judged.gap_days,
        -- only these rules look at it
        case when rules.n_window_min is not null then judged.loyal_threshold_amount end as loyal_threshold_amount
    from judged
    inner join rules on judged.rule_id = rules.rule_id
)

select * from final
