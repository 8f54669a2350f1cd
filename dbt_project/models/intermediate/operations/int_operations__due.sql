-- Grain: one row per week whose list is made by this build, and member on it: in a stage with a play for staff, whose
-- time to act is not over, and not contacted since it began. The time begins when the member came into the stage or
-- bought last.
{{ config(indexes=[{'columns': ['member_id']}]) }}

with plays as (
    select * from {{ ref('stage_plays') }}
    where role = 'staff' and template_scene <> 'none'
),

standing as (
    select
        members.*,
        plays.days_to_act
    from {{ ref('int_operations__standing') }} as members
    inner join plays
        on
            members.stage_code = plays.stage_code
            and members.sunday >= plays.valid_from
            and members.sunday < plays.valid_to
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

final as (
    select
        timed.week_start,
        timed.member_id,
        timed.store_id,
        timed.staff_id,
        timed.stage_code,
        timed.act_from,
        timed.act_by
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
)

select * from final
