-- Grain: one row per week whose list is made by this build, and member who was valid on the Sunday before: its stage
-- and service store on that day, and who looks after it there.
{{ config(indexes=[{'columns': ['member_id']}]) }}

with published as (
    {{ rows_of_base('int_operations__list_weeks', ['week_start']) }}
),

weeks as (
    select
        listed.week_start,
        listed.week_start - 1 as sunday
    from {{ ref('int_operations__list_weeks') }} as listed
    left join published on listed.week_start = published.week_start
    where published.week_start is null
),

standing as (
    select
        weeks.week_start,
        weeks.sunday,
        stages.member_id,
        stages.stage_code,
        stages.valid_from,
        stores.store_id
    from weeks
    inner join {{ ref('int_lifecycle__stages') }} as stages
        on weeks.sunday >= stages.valid_from and weeks.sunday < stages.valid_to
    inner join {{ ref('int_members__service_stores') }} as stores
        on
            stages.member_id = stores.member_id
            and weeks.sunday >= stores.valid_from
            and weeks.sunday < stores.valid_to
    where {{ is_valid_stage('stages.stage_code') }}
),

assigned as (
    select
        standing.week_start,
        standing.member_id,
        assignments.service_staff_id as staff_id,
        row_number() over (
            partition by standing.week_start, standing.member_id
            order by
                assignments.valid_from desc,
                assignments._delivered_on desc,
                assignments._batch_id desc,
                assignments._line_no desc
        ) as recency
    from standing
    inner join {{ ref('int_members__resolved_ids') }} as ids
        on standing.member_id = ids.member_id and ids.kind = 'card'
    inner join {{ ref('stg_pos__member_assignments') }} as assignments
        on ids.id = assignments.card_no and standing.sunday >= assignments.valid_from
),

-- who was told to look after the member, else who enrolled it
advised as (
    select
        standing.*,
        case when assigned.member_id is not null then assigned.staff_id else enrolments.staff_id end as adviser_id
    from standing
    left join assigned
        on
            standing.week_start = assigned.week_start
            and standing.member_id = assigned.member_id
            and assigned.recency = 1
    left join {{ ref('fct_enrolment') }} as enrolments
        on standing.member_id = enrolments.member_id and enrolments.is_members_first
),

final as (
    select
        advised.week_start,
        advised.sunday,
        advised.member_id,
        advised.store_id,
        coalesce(staff.staff_id, 'none') as staff_id,
        advised.stage_code,
        advised.valid_from
    from advised
    -- who has left, or works in another store, calls nobody here
    left join {{ ref('dim_staff') }} as staff
        on
            advised.adviser_id = staff.staff_id
            and advised.store_id = staff.store_id
            and advised.sunday < coalesce(staff.left_on, date '9999-12-31')
)

select * from final
