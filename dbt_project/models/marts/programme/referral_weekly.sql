-- Grain: one row per week of enrolment and recruiting store with members who were brought by another.
{{ config(unique_key=['cohort_week', 'store_id'], fed_by=['app__referrals'], may_be_empty=true) }}

with reporting as (
    select * from {{ ref('reporting_period') }}
),

members as (
    select * from {{ ref('dim_member') }}
),

staff as (
    select distinct member_id from {{ ref('int_members__flag_periods') }}
    where flag = 'staff'
),

-- whoever was brought by several counts once
referees as (
    select distinct
        members.member_id,
        members.enrolled_on,
        coalesce(members.recruit_store_id, 'APP') as store_id,
        members.first_purchase_since_enrolment_on
    from {{ ref('fct_referral') }} as referrals
    inner join members on referrals.referee_member_id = members.member_id
    where
        not referrals.is_self
        and members.is_in_cohorts
        and referrals.referrer_member_id is not null
        and referrals.referrer_member_id not in (select staff.member_id from staff)
        and referrals.referee_member_id not in (select staff.member_id from staff)
),

final as (
    select
        date_trunc('week', referees.enrolled_on)::date as cohort_week,
        referees.store_id,
        count(*)::integer as referees,
        (count(*) filter (where referees.first_purchase_since_enrolment_on - referees.enrolled_on <= 90))::integer
            as purchased_90d,
        bool_and(date_trunc('week', referees.enrolled_on)::date + 6 + 90 <= reporting.as_of_date) as is_final,
        case
            when bool_and(date_trunc('week', referees.enrolled_on)::date + 6 + 90 <= reporting.as_of_date)
                then {{ rate(
                    'count(*) filter (where referees.first_purchase_since_enrolment_on - referees.enrolled_on <= 90)',
                    'count(*)'
                ) }}
        end as conversion_rate
    from referees
    cross join reporting
    group by date_trunc('week', referees.enrolled_on), referees.store_id
)

select * from final
