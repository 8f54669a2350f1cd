-- Grain: one row per member and stage interval [valid_from, valid_to) that began by the as-of date.
{{ config(unique_key=['member_id', 'valid_from']) }}

with building as (
    select as_of_date from {{ source('release', 'building') }}
),

stages as (
    select * from {{ ref('int_lifecycle__stages') }}
),

final as (
    select
        stages.member_id,
        stages.stage_code,
        stages.valid_from,
        -- what lies ahead is told as next_stage_*: an interval that is open today has no end yet
        case when stages.valid_to > building.as_of_date then date '9999-12-31' else stages.valid_to end as valid_to,
        stages.rule_id,
        stages.days_since_purchase,
        stages.purchase_days,
        stages.purchase_days_365,
        stages.spend_365_amount,
        stages.gap_days,
        stages.loyal_threshold_amount,
        stages.next_stage_code,
        case when stages.next_stage_code is not null then stages.valid_to end as next_stage_on
    from stages
    cross join building
    where stages.valid_from <= building.as_of_date
)

select * from final
