-- Grain: one row per member with receipts in the 365 days up to the as-of date: their net sales.
-- Kept, because it is a sum over many days of which a build changes few; the ranks of member_value are made of it anew.
{{ config(
    schema='marts',
    materialized='versioned',
    consistency_group='programme',
    contract={'enforced': true},
    unique_key=['member_id'],
    scope={'columns': ['member_id'], 'relation': 'int_value__touched_members'},
    is_published=false,
) }}

with building as (
    select as_of_date from {{ source('release', 'building') }}
),

days as (
    select days.*
    from {{ ref('int_members__days') }} as days
    cross join building
    where
        days.business_date > building.as_of_date - 365
        and {{ in_scope('days.member_id', 'int_value__touched_members') }}
),

final as (
    select
        member_id,
        sum(net_sales_amount)::numeric(14, 2) as net_amount_365
    from days
    group by member_id
)

select * from final
