-- Grain: one row per valid member whose tier in the source system is not the expected one on the as-of date. A view.
{{ config(materialized='published_view', unique_key=['member_id']) }}

with history as (
    select * from {{ ref('tier_history') }}
    where valid_to = date '9999-12-31' and tier <> 'not_fed' and tier <> expected_tier
),

members as (
    select * from {{ ref('dim_member') }}
    where is_valid
),

tiers as (
    select * from {{ ref('dim_tier') }}
),

final as (
    select
        history.member_id,
        members.service_store_id as store_id,
        history.tier,
        history.expected_tier,
        case when source.sort_order > expected.sort_order then 'source_higher' else 'source_lower' end as direction,
        run.differs_since,
        history.tier_reason,
        history.expected_reason,
        history.expected_since,
        history.in_grace,
        history.spend_365_amount,
        history.spend_asked_amount,
        history.promoted_on,
        history.promoted_by_receipt_id,
        history.next_review_on,
        history.next_change_on,
        history.next_expected_tier
    from history
    inner join members on history.member_id = members.member_id
    inner join tiers as source on history.tier = source.tier
    inner join tiers as expected on history.expected_tier = expected.tier
    -- a review that changes neither tier begins no other mismatch
    inner join lateral (
        select
            coalesce(
                max(earlier.valid_to) filter (
                    where
                    (earlier.tier, earlier.expected_tier) is distinct from (history.tier, history.expected_tier)
                ),
                min(earlier.valid_from)
            ) as differs_since
        from {{ ref('tier_history') }} as earlier
        where earlier.member_id = history.member_id and earlier.valid_from <= history.valid_from
    ) as run on true
)

select * from final
