-- Grain: one row per week whose list is made by this build, and member on it: in a stage with a play for staff, whose
-- time to act is not over, and not contacted since it began. The time begins when the member came into the stage or
-- bought last.
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

plays as (
    select * from {{ ref('stage_plays') }}
    where role = 'staff' and template_scene <> 'none' and stage_code <> 'S01'
),

standing as (
    select
        weeks.week_start,
        weeks.sunday,
        stages.member_id,
        stages.stage_code,
        stages.valid_from,
        plays.days_to_act
    from weeks
    inner join {{ ref('int_lifecycle__stages') }} as stages
        on weeks.sunday >= stages.valid_from and weeks.sunday < stages.valid_to
    inner join plays
        on
            stages.stage_code = plays.stage_code
            and weeks.sunday >= plays.valid_from
            and weeks.sunday < plays.valid_to
),

bought as (
    select
        standing.week_start,
        standing.member_id,
        max(days.business_date) as bought_on
    from standing
    inner join {{ ref('int_members__days') }} as days
        on
            standing.member_id = days.member_id
            and standing.sunday >= days.business_date
            and standing.sunday < days.counted_until
    group by standing.week_start, standing.member_id
),

timed as (
    select
        standing.*,
        greatest(standing.valid_from, bought.bought_on) as act_from,
        greatest(standing.valid_from, bought.bought_on) + standing.days_to_act as act_by
    from standing
    left join bought on standing.week_start = bought.week_start and standing.member_id = bought.member_id
),

due as (
    select timed.*
    from timed
    where
        timed.act_by >= timed.week_start
        and not exists (
            select 1 from {{ ref('fct_contact') }} as contacts
            where
                contacts.member_id = timed.member_id
                and contacts.made_on > timed.act_from
                and contacts.made_on <= timed.sunday
        )
),

assigned as (
    select
        due.week_start,
        due.member_id,
        assignments.service_staff_id as staff_id,
        row_number() over (
            partition by due.week_start, due.member_id
            order by
                assignments.valid_from desc,
                assignments._delivered_on desc,
                assignments._batch_id desc,
                assignments._line_no desc
        ) as recency
    from due
    inner join {{ ref('int_members__resolved_ids') }} as ids on due.member_id = ids.member_id and ids.kind = 'card'
    inner join {{ ref('stg_pos__member_assignments') }} as assignments
        on ids.id = assignments.card_no and due.sunday >= assignments.valid_from
),

-- who was told to look after the member, else who enrolled it
advisers as (
    select
        due.week_start,
        due.member_id,
        case when assigned.member_id is not null then assigned.staff_id else enrolments.staff_id end as staff_id
    from due
    left join assigned
        on due.week_start = assigned.week_start and due.member_id = assigned.member_id and assigned.recency = 1
    left join {{ ref('fct_enrolment') }} as enrolments
        on due.member_id = enrolments.member_id and enrolments.is_members_first
),

final as (
    select
        due.week_start,
        due.member_id,
        stores.store_id,
        coalesce(staff.staff_id, 'none') as staff_id,
        due.stage_code,
        due.act_from,
        due.act_by
    from due
    inner join {{ ref('int_members__service_stores') }} as stores
        on due.member_id = stores.member_id and due.sunday >= stores.valid_from and due.sunday < stores.valid_to
    left join advisers on due.week_start = advisers.week_start and due.member_id = advisers.member_id
    -- who has left, or works in another store, calls nobody here
    left join {{ ref('dim_staff') }} as staff
        on
            advisers.staff_id = staff.staff_id
            and stores.store_id = staff.store_id
            and due.sunday < coalesce(staff.left_on, date '9999-12-31')
)

select * from final
