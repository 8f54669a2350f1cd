-- Grain: one row per member and period [valid_from, valid_to) in one adaptive recency band that began
-- by the as-of date.
{{ config(materialized='published_view', unique_key=['member_id', 'valid_from']) }}

with bands as (
    select * from {{ ref('int_lifecycle__adaptive_bands') }}
),

period as (
    select * from {{ ref('reporting_period') }}
),

final as (
    select
        member_id,
        adaptive_band,
        valid_from,
        case
            when valid_to > (select as_of_date from period) then date '9999-12-31'
            else valid_to
        end as valid_to,
        cycle_days,
        cycle_basis
    from bands
    where valid_from <= (select as_of_date from period)
)

select * from final
