-- Grain: one row per member and stage interval [valid_from, valid_to) that began by the as-of date.
{{ config(materialized='published_view', unique_key=['member_id', 'valid_from']) }}

with stages as (
    select * from {{ ref('int_lifecycle__stages') }}
),

period as (
    select * from {{ ref('reporting_period') }}
),

final as (
    select
        member_id,
        stage_code,
        valid_from,
        -- what lies ahead is told as next_stage_*: an interval that is open today has no end yet
        case
            when valid_to > (select as_of_date from period) then date '9999-12-31'
            else valid_to
        end as valid_to,
        rule_id,
        days_since_purchase,
        purchase_days,
        purchase_days_365,
        spend_365_amount,
        gap_days,
        loyal_threshold_amount,
        adaptive_band,
        next_stage_code,
        case when next_stage_code is not null then valid_to end as next_stage_on
    from stages
    where valid_from <= (select as_of_date from period)
)

select * from final
