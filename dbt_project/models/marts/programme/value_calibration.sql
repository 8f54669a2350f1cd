-- Grain: one row per fitted model and number of repeat purchase days before the days that were held out. A view.
{{ config(materialized='published_view', unique_key=['model_version', 'repeat_days']) }}

with calibration as (
    select * from {{ ref('int_value__calibration') }}
),

final as (
    select
        model_version,
        repeat_days,
        as_of_date,
        calibrated_until,
        holdout_weeks,
        members,
        predicted_days,
        actual_days,
        predicted_amount,
        actual_amount,
        missed_amount
    from calibration
)

select * from final
