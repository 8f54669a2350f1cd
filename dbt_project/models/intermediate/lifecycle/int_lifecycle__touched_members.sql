-- Grain: one row per member whose path through the stages, or whose standing in a store or tier, may differ from the
-- highest published release.
{{ config(indexes=[{'columns': ['member_id']}]) }}

with thresholds as (
    {{ changes('loyal_threshold', ['quarter_start', 'loyal_threshold_amount']) }}
),

-- as published: this build's come after this model
published_stages as (
    {{ published_rows('int_lifecycle__stages', {
        'member_id': 'text', 'stage_code': 'text', 'valid_from': 'date', 'valid_to': 'date',
    }) }}
),

changed_quarters as (
    select
        quarter_start,
        case
            when quarter_start = max(quarter_start) over () then date '9999-12-31'
            else (quarter_start + interval '3 months')::date
        end as quarter_end
    from thresholds
),

-- whom a threshold of these quarters told apart, or will
told_apart as (
    select stages.member_id
    from changed_quarters as quarters
    inner join published_stages as stages
        on quarters.quarter_end > stages.valid_from and quarters.quarter_start < stages.valid_to
    where
        stages.stage_code in ('S05', 'S06')
        -- mostly there are none, and then nothing is read
        and (select count(*) from changed_quarters) > 0
),

final as (
    select member_id from ({{ changes('int_members__days', ['member_id']) }}) as days
    union
    select member_id from ({{ changes('int_members__members', ['member_id']) }}) as members
    union
    select member_id from ({{ changes('int_members__exclusions', ['member_id']) }}) as exclusions
    union
    select member_id from ({{ changes('int_members__flag_periods', ['member_id']) }}) as flags
    union
    select member_id from ({{ changes('int_members__service_stores', ['member_id']) }}) as stores
    union
    select member_id from ({{ changes('int_tiers__periods', ['member_id']) }}) as tiers
    union
    select member_id from told_apart
)

select * from final
where not (select is_full from {{ ref('int_release__step') }})
