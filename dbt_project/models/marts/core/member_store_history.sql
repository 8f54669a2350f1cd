-- Grain: one row per member and period [valid_from, valid_to) in which a store looks after it, as far as it began by
-- the as-of date.
{{ config(materialized='published_view', unique_key=['member_id', 'valid_from']) }}

with stores as (
    select * from {{ ref('int_members__service_stores') }}
),

period as (
    select * from {{ ref('reporting_period') }}
),

final as (
    select
        member_id,
        store_id,
        valid_from,
        case
            when valid_to > (select as_of_date from period) then date '9999-12-31'
            else valid_to
        end as valid_to
    from stores
    where valid_from <= (select as_of_date from period)
)

select * from final
