-- Grain: one row per member and business date with a qualifying receipt: the unit of frequency, repeat and stage.
{{ config(materialized='published_view', unique_key=['member_id', 'business_date']) }}

with days as (
    select * from {{ ref('int_members__days') }}
),

final as (
    select
        member_id,
        business_date,
        receipts,
        units,
        net_amount
    from days
    where receipts > 0
)

select * from final
