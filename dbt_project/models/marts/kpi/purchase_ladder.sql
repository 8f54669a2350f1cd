-- Grain: one row per month of enrolment and step: members who got at least that far.
{{ config(unique_key=['cohort_month', 'step'], may_be_empty=true) }}

with members as (
    select
        date_trunc('month', enrolled_on)::date as cohort_month,
        purchase_days,
        count(*) as members
    from {{ ref('dim_member') }}
    where is_in_cohorts
    group by date_trunc('month', enrolled_on), purchase_days
),

steps as (
    select
        step,
        step_number
    from (values ('enrolled', 0), ('1st', 1), ('2nd', 2), ('3rd', 3), ('4th+', 4)) as steps (step, step_number)
),

final as (
    select
        members.cohort_month,
        steps.step,
        steps.step_number,
        coalesce(sum(members.members) filter (where members.purchase_days >= steps.step_number), 0)::integer
            as members,
        sum(members.members)::integer as cohort_members
    from members
    cross join steps
    group by members.cohort_month, steps.step, steps.step_number
)

select * from final
