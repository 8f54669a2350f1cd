-- Grain: one row per member whose row in dim_member may differ from the highest published release: what it did changed,
-- or the step to the as-of date takes it into another stage, phase or store.
{{ config(indexes=[{'columns': ['member_id']}]) }}

with step as (
    select * from {{ ref('int_release__step') }}
),

found as (
    select member_id from ({{ changes('int_members__days', ['member_id']) }}) as days
    union
    select member_id from ({{ changes('int_members__members', ['member_id']) }}) as members
    union
    select member_id from ({{ changes('int_lifecycle__stages', ['member_id']) }}) as stages
    union
    select member_id from ({{ changes('int_members__service_stores', ['member_id']) }}) as stores
    union
    select member_id from ({{ changes('int_members__flag_periods', ['member_id']) }}) as flags
    union
    select member_id from ({{ changes('int_tiers__periods', ['member_id']) }}) as tiers
    union
    select stages.member_id
    from step
    inner join {{ ref('int_lifecycle__stages') }} as stages
        on step.from_date < stages.valid_from and step.to_date >= stages.valid_from
    union
    select stores.member_id
    from step
    inner join {{ ref('int_members__service_stores') }} as stores
        on step.from_date < stores.valid_from and step.to_date >= stores.valid_from
    union
    select member_id from ({{ changes('int_members__profiles', ['member_id']) }}) as profiles
    union
    select profiles.member_id
    from step
    inner join {{ ref('int_members__profiles') }} as profiles
        on step.from_date < profiles.valid_from and step.to_date >= profiles.valid_from
    union
    select profiles.member_id
    from step
    inner join {{ ref('int_members__profiles') }} as profiles
        on
            date_trunc('month', step.from_date) <> date_trunc('month', step.to_date)
            and profiles.birth_year is not null
            and step.to_date >= profiles.valid_from
            and step.to_date < profiles.valid_to
            and {{ age_band('profiles.birth_year', 'profiles.birth_month', 'step.from_date') }}
            <> {{ age_band('profiles.birth_year', 'profiles.birth_month', 'step.to_date') }}
    union
    select members.member_id
    from step
    inner join {{ ref('int_members__members') }} as members
        on
            members.enrolled_on > step.from_date - {{ lifecycle_parameter('onboarding_days') }}::integer
            and members.enrolled_on <= step.to_date - {{ lifecycle_parameter('onboarding_days') }}::integer
    union
    select flags.member_id
    from step
    inner join {{ ref('int_members__flag_periods') }} as flags
        on
            (step.from_date < flags.flagged_from and step.to_date >= flags.flagged_from)
            or (step.from_date < flags.flagged_to and step.to_date >= flags.flagged_to)
    union
    -- who enrolled between two first days of all
    select members.member_id
    from {{ ref('int_release__moved_first_day') }} as first_day
    inner join {{ ref('int_members__members') }} as members
        on first_day.earlier <= members.enrolled_on and first_day.later > members.enrolled_on
),

final as (
    select member_id from found
    where not (select is_full from step)
)

select * from final
