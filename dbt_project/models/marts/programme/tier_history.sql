-- Grain: one row per member and interval [valid_from, valid_to) that began by the as-of date, over which its tier in
-- the source system and the one expected by the rules stay the same, reasons included.
{{ config(
    unique_key=['member_id', 'valid_from'],
    scope={'columns': ['member_id'], 'relation': 'int_tiers__touched_members'},
    lookups=[['next_change_on'], ['valid_from']],
) }}

with building as (
    select as_of_date from {{ source('release', 'building') }}
),

openings as (
    select * from {{ ref('int_tiers__openings') }}
),

ladder as (
    select distinct
        rung,
        tier
    from {{ ref('int_tiers__rules') }}
    union all
    select
        0 as rung,
        'none' as tier
),

-- the decision after the last one that holds lies ahead
decisions as (
    select
        decisions.member_id,
        decisions.valid_from,
        lead(decisions.valid_from, 1, date '9999-12-31') over by_step as next_from,
        lead(ladder.tier) over by_step as next_tier,
        lead(decisions.reason) over by_step as next_reason,
        ladder.tier,
        decisions.reason,
        decisions.spend_365_amount,
        decisions.spend_asked_amount,
        decisions.decided_on,
        decisions.receipt_id,
        coalesce(decisions.grace_to, decisions.review_on) as next_review_on,
        decisions.grace_to is not null as in_grace
    from {{ ref('int_tiers__decisions') }} as decisions
    inner join ladder on decisions.rung = ladder.rung
    window by_step as (partition by decisions.member_id order by decisions.step)
),

expected as (
    select
        decisions.*,
        least(decisions.next_from, openings.merged_on) as valid_to
    from decisions
    inner join openings on decisions.member_id = openings.member_id
    cross join building
    where
        decisions.valid_from <= building.as_of_date
        and decisions.valid_from < least(decisions.next_from, openings.merged_on)
),

periods as (
    select periods.*
    from {{ ref('int_tiers__periods') }} as periods
    where {{ in_scope('periods.member_id', 'int_tiers__touched_members') }}
),

memberships as (
    select
        member_id,
        enrolled_on as valid_from,
        coalesce(merged_on, date '9999-12-31') as valid_to
    from openings
    union all
    select
        member_id,
        valid_from,
        valid_to
    from periods
    where member_id not in (select member_id from openings)
),

cuts as (
    select
        member_id,
        valid_from as day
    from memberships
    union
    select
        member_id,
        valid_from as day
    from expected
    union
    select
        member_id,
        valid_from as day
    from periods
    union
    select
        member_id,
        valid_to as day
    from periods
),

stretches as (
    select
        cuts.member_id,
        cuts.day as valid_from,
        least(
            lead(cuts.day, 1, date '9999-12-31') over (partition by cuts.member_id order by cuts.day),
            openings.merged_on
        ) as valid_to
    from cuts
    left join openings on cuts.member_id = openings.member_id
),

final as (
    select
        stretches.member_id,
        stretches.valid_from,
        case when stretches.valid_to > building.as_of_date then date '9999-12-31' else stretches.valid_to end
            as valid_to,
        coalesce(periods.tier, 'not_fed') as tier,
        periods.reason as tier_reason,
        expected.tier as expected_tier,
        coalesce(expected.in_grace, false) as in_grace,
        expected.reason as expected_reason,
        expected.valid_from as expected_since,
        expected.spend_365_amount,
        expected.spend_asked_amount,
        case when expected.receipt_id is not null then expected.decided_on end as promoted_on,
        expected.receipt_id as promoted_by_receipt_id,
        expected.next_review_on,
        case when stretches.valid_to > building.as_of_date then nullif(expected.next_from, date '9999-12-31') end
            as next_change_on,
        case when stretches.valid_to > building.as_of_date then expected.next_tier end as next_expected_tier,
        case when stretches.valid_to > building.as_of_date then expected.next_reason end as next_expected_reason
    from stretches
    cross join building
    left join openings on stretches.member_id = openings.member_id and stretches.valid_from >= openings.enrolled_on
    left join periods
        on
            stretches.member_id = periods.member_id
            and stretches.valid_from >= periods.valid_from
            and stretches.valid_from < periods.valid_to
    left join expected
        on
            stretches.member_id = expected.member_id
            and stretches.valid_from >= expected.valid_from
            and stretches.valid_from < expected.valid_to
    where
        stretches.valid_from < stretches.valid_to
        and stretches.valid_from <= building.as_of_date
        and (periods.tier is not null or openings.member_id is not null)
)

select * from final
