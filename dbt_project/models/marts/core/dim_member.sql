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
        (array_agg(business_date order by business_date) filter (where receipts > 0))[2] as second_purchase_on,
        (array_agg(first_store_id order by business_date) filter (where receipts > 0))[1] as first_purchase_store_id,
        count(*) filter (where receipts > 0)::integer as purchase_days,
        sum(net_sales_amount) as net_sales_amount
    from {{ ref('int_members__days') }}
    where {{ in_scope('member_id', 'int_members__touched_profiles') }}
    group by member_id
),

outsiders as (
    select distinct flags.member_id
    from {{ ref('int_members__flag_periods') }} as flags
    cross join building
    where
        flags.flag in ('staff', 'test', 'blocked')
        and flags.flagged_from <= building.as_of_date
        and flags.flagged_to > building.as_of_date
        and {{ in_scope('flags.member_id', 'int_members__touched_profiles') }}
),

profiles as (
    select profiles.*
    from {{ ref('int_members__profiles') }} as profiles
    cross join building
    where
        profiles.valid_from <= building.as_of_date
        and profiles.valid_to > building.as_of_date
        and {{ in_scope('profiles.member_id', 'int_members__touched_profiles') }}
),

-- a purchase from before the enrolment is the member's, but not what came of enrolling
since_enrolment as (
    select
        days.member_id,
        min(days.business_date) as first_purchase_on
    from {{ ref('int_members__days') }} as days
    inner join members on days.member_id = members.member_id and days.business_date >= members.enrolled_on
    where days.receipts > 0 and {{ in_scope('days.member_id', 'int_members__touched_profiles') }}
    group by days.member_id
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
        coalesce(profiles.gender, 'unknown') as gender,
        {{ age_band('profiles.birth_year', 'profiles.birth_month', 'building.as_of_date') }} as age_band,
        profiles.birth_month,
        days.first_purchase_on,
        days.first_purchase_store_id,
        since_enrolment.first_purchase_on as first_purchase_since_enrolment_on,
        days.second_purchase_on,
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
        {{ is_valid_stage('stages.stage_code') }} as is_valid,
        coalesce(
            members.enrolled_on >= reporting.observed_from
            and members.merged_on is null
            and outsiders.member_id is null,
            false
        ) as is_in_cohorts
    from members
    cross join building
    cross join {{ ref('reporting_period') }} as reporting
    left join stages on members.member_id = stages.member_id
    left join stores on members.member_id = stores.member_id
    left join days on members.member_id = days.member_id
    left join since_enrolment on members.member_id = since_enrolment.member_id
    left join tiers on members.member_id = tiers.member_id
    left join profiles on members.member_id = profiles.member_id
    left join outsiders on members.member_id = outsiders.member_id
)

select * from final
