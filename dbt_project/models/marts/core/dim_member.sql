-- Grain: one row per prospect, valid or former member; no personal data.
{{ config(
    unique_key=['member_id'],
    scope={'columns': ['member_id'], 'relation': 'int_members__touched_profiles'},
) }}

with building as (
    select as_of_date from {{ source('release', 'building') }}
),

members as (
    select * from {{ ref('int_members__members') }}
    where {{ in_scope('member_id', 'int_members__touched_profiles') }}
),

stages as (
    select stages.*
    from {{ ref('int_lifecycle__stages') }} as stages
    cross join building
    where
        stages.valid_from <= building.as_of_date
        and stages.valid_to > building.as_of_date
        and {{ in_scope('stages.member_id', 'int_members__touched_profiles') }}
),

stores as (
    select stores.*
    from {{ ref('int_members__service_stores') }} as stores
    cross join building
    where
        stores.valid_from <= building.as_of_date
        and stores.valid_to > building.as_of_date
        and {{ in_scope('stores.member_id', 'int_members__touched_profiles') }}
),

tiers as (
    select periods.*
    from {{ ref('int_tiers__periods') }} as periods
    cross join building
    where
        periods.valid_from <= building.as_of_date
        and periods.valid_to > building.as_of_date
        and {{ in_scope('periods.member_id', 'int_members__touched_profiles') }}
),

days as (
    select
        member_id,
        min(business_date) filter (where receipts > 0) as first_purchase_on,
        max(business_date) filter (where receipts > 0) as last_purchase_on,
        count(*) filter (where receipts > 0)::integer as purchase_days,
        sum(net_sales_amount) as net_sales_amount
    from {{ ref('int_members__days') }}
    where {{ in_scope('member_id', 'int_members__touched_profiles') }}
    group by member_id
),

final as (
    select
        members.member_id,
        members.enrolled_on,
        members.closed_on,
        members.merged_on,
        members.merged_into,
        members.recruit_store_id,
        stores.store_id as service_store_id,
        members.recruit_channel,
        members.recruit_method,
        coalesce(tiers.tier, 'not_fed') as tier,
        days.first_purchase_on,
        days.last_purchase_on,
        coalesce(days.purchase_days, 0) as purchase_days,
        coalesce(days.net_sales_amount, 0)::numeric(14, 2) as net_sales_amount,
        stages.stage_code,
        case
            when stages.stage_code <> 'S02' then null
            when building.as_of_date - members.enrolled_on < {{ lifecycle_parameter('onboarding_days') }}
                then 'onboarding'
            else 'stalled'
        end as enrolled_phase,
        {{ is_valid_stage('stages.stage_code') }} as is_valid
    from members
    cross join building
    left join stages on members.member_id = stages.member_id
    left join stores on members.member_id = stores.member_id
    left join days on members.member_id = days.member_id
    left join tiers on members.member_id = tiers.member_id
)

select * from final
