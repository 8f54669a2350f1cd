-- Grain: one row per member and purchase day that still counts, with the one before it.
{{ config(
    unique_key=['member_id', 'business_date'],
    scope={'columns': ['member_id'], 'relation': 'int_lifecycle__touched_members'},
    lookups=[['business_date']],
) }}

with days as (
    select
        member_id,
        business_date
    from {{ ref('int_members__days') }}
    where receipts > 0 and {{ in_scope('member_id', 'int_lifecycle__touched_members') }}
),

final as (
    select
        member_id,
        business_date,
        lag(business_date) over (partition by member_id order by business_date) as previous_on
    from days
)

select * from final
