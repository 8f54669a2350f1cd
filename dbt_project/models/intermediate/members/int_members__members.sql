-- Grain: one row per enrolled member.
-- The service store is the recruiting store until assignments are fed.
with enrolments as (
    select * from {{ ref('stg_pos__enrolments') }}
),

closures as (
    select
        member_id,
        max(changed_on) filter (where is_set) as closed_on,
        max(changed_on) filter (where not is_set) as reopened_on
    from {{ ref('stg_pos__member_status') }}
    where flag = 'closed'
    group by member_id
),

final as (
    select
        enrolments.member_id,
        enrolments.enrolled_on,
        enrolments.recruit_store_id,
        coalesce(enrolments.recruit_store_id, 'not_fed') as service_store_id,
        enrolments.recruit_channel,
        enrolments.recruit_method,
        case when closures.reopened_on > closures.closed_on then null else closures.closed_on end as closed_on
    from enrolments
    left join closures on enrolments.member_id = closures.member_id
)

select * from final
