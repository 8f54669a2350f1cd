-- Grain: one row per fitted model as of the build's date or before, and number of repeat purchase days before its
-- hold-out. Of its own, because there may be none: value_calibration, a view, may be empty and a mart may not.
{{ config(
    schema='marts',
    materialized='versioned',
    consistency_group='programme',
    contract={'enforced': true},
    unique_key=['model_version', 'repeat_days'],
    is_published=false,
) }}

with building as (
    select as_of_date from {{ source('release', 'building') }}
),

final as (
    select
        models.model_version,
        calibration.repeat_days,
        models.as_of_date,
        models.calibrated_until,
        models.holdout_weeks,
        calibration.members,
        calibration.predicted_days,
        calibration.actual_days,
        calibration.predicted_amount,
        calibration.actual_amount,
        calibration.missed_amount
    from {{ source('scoring', 'calibration') }} as calibration
    inner join {{ source('scoring', 'model') }} as models on calibration.model_version = models.model_version
    inner join building on models.as_of_date <= building.as_of_date
)

select * from final
