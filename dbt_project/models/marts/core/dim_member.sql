-- Grain: one row per prospect, valid or former member; no personal data.
{{ config(unique_key=['member_id']) }}

with building as (
    select as_of_date from {{ source('release', 'building') }}
),

members as (
    select * from {{ ref('int_members__members') }}
),

stages as (
    select history.*
    from {{ ref('member_stage_history') }} as history
    cross join building
    where history.valid_from <= building.as_of_date and history.valid_to > building.as_of_date
),

purchases as (
    select
        member_id,
        min(business_date) as first_purchase_on,
        max(business_date) as last_purchase_on,
        count(*)::integer as purchase_days
    from {{ ref('fct_purchase_day') }}
    group by member_id
),

tiers as (
    select periods.*
    from {{ ref('int_tiers__periods') }} as periods
    cross join building
    where periods.valid_from <= building.as_of_date and periods.valid_to > building.as_of_date
),

money as (
    select
        member_id,
        sum(net_sales_amount) as net_sales_amount
    from {{ ref('int_members__daily_sales') }}
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
        members.service_store_id,
        members.recruit_channel,
        members.recruit_method,
        coalesce(tiers.tier, 'not_fed') as tier,
        purchases.first_purchase_on,
        purchases.last_purchase_on,
        coalesce(purchases.purchase_days, 0) as purchase_days,
        coalesce(money.net_sales_amount, 0)::numeric(14, 2) as net_sales_amount,
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
    left join tiers on members.member_id = tiers.member_id
    left join purchases on members.member_id = purchases.member_id
    left join money on members.member_id = money.member_id
)

select * from final
