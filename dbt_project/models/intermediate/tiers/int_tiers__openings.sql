-- Grain: one row per enrolled member whose tier this build computes: the day from which it is judged, and what it is
-- then. Who was a member before the first sales are known has the tier that the source says, earned the day before it
-- began; everybody else has what is had for nothing.
{{ config(indexes=[{'columns': ['member_id']}]) }}

with members as (
    select
        members.member_id,
        members.enrolled_on,
        members.merged_on,
        greatest(members.enrolled_on, first_day.first_business_date) as judged_from,
        first_day.first_business_date
    from {{ ref('int_members__members') }} as members
    left join {{ ref('int_tiers__first_day') }} as first_day on true
    where members.enrolled_on is not null and {{ in_scope('members.member_id', 'int_tiers__touched_members') }}
),

rules as (
    select * from {{ ref('int_tiers__rules') }}
),

with_rungs as (
    select
        members.member_id,
        members.enrolled_on,
        members.merged_on,
        members.judged_from,
        coalesce((
            select max(rules.rung) from rules
            where
                rules.asks_nothing
                and members.judged_from >= rules.valid_from
                and members.judged_from < rules.valid_to
        ), 0) as free_rung,
        coalesce(brought.rung, 0) as brought_rung,
        brought.asks_nothing as brought_asks_nothing,
        periods.valid_from - 1 as earned_on,
        (extract(year from members.judged_from) - extract(year from periods.valid_from - 1)) * 12
        + extract(month from members.judged_from) - extract(month from periods.valid_from - 1) as months_since
    from members
    left join {{ ref('int_tiers__periods') }} as periods
        on
            members.member_id = periods.member_id
            and members.enrolled_on < members.first_business_date
            and members.first_business_date >= periods.valid_from
            and members.first_business_date < periods.valid_to
    left join rules as brought
        on
            periods.tier = brought.tier
            and members.judged_from >= brought.valid_from
            and members.judged_from < brought.valid_to
),

with_kept_months as (
    select
        with_rungs.*,
        (
            greatest(ceil(months_since / {{ tier_parameter('valid_months') }}) - 1, 0)
            * {{ tier_parameter('valid_months') }}
        )::integer as kept_months
    from with_rungs
),

final as (
    select
        member_id,
        enrolled_on,
        merged_on,
        judged_from,
        greatest(free_rung, brought_rung) as rung,
        brought_rung > free_rung as is_brought,
        -- one that ended meanwhile was kept, a whole number of times
        case
            when brought_rung > free_rung and not brought_asks_nothing
                then {{ tier_valid_until("earned_on + make_interval(months => kept_months)") }}
        end as review_on
    from with_kept_months
)

select * from final
