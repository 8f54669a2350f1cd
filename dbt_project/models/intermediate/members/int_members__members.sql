-- Grain: one row per member that is or was: enrolled, a prospect, or merged into another one since merged_on.
-- A member is enrolled by the earliest of its ids. The service store is the one before any assignment.
{{ config(
    unique_key=['member_id'],
    scope={'columns': ['member_id'], 'relation': 'int_members__touched_ids'},
    lookups=[['enrolled_on']],
) }}

with ids as (
    select * from {{ ref('int_members__ids') }}
),

resolved as (
    select * from {{ ref('int_members__resolved_ids') }}
),

closures as (
    select
        member_id,
        max(flagged_from) as closed_on
    from {{ ref('int_members__flag_periods') }}
    where
        flag = 'closed'
        and flagged_to = date '9999-12-31'
        and {{ in_scope('member_id', 'int_members__touched_ids') }}
    group by member_id
),

-- a merged account that had a card was a member by that card
accounts_with_card as (
    select distinct links.account_id
    from {{ ref('int_members__links') }} as links
    inner join ids on links.card_no = ids.id and ids.kind = 'card'
    where links.is_in_force
),

memberships as (
    select
        ids.*,
        resolved.member_id,
        resolved.is_known_by_it,
        resolved.joined_on,
        resolved.is_merged_away,
        accounts_with_card.account_id is not null as has_card,
        min(ids.known_from) over of_member as member_known_from,
        min(ids.enrolled_on) over of_member as member_enrolled_on
    from ids
    inner join resolved on ids.kind = resolved.kind and ids.id = resolved.id
    left join accounts_with_card on ids.kind = 'account' and ids.id = accounts_with_card.account_id
    window of_member as (partition by resolved.member_id)
),

final as (
    select
        memberships.id as member_id,
        case when memberships.is_known_by_it then memberships.member_known_from else memberships.known_from end
            as known_from,
        case when memberships.is_known_by_it then memberships.member_enrolled_on else memberships.enrolled_on end
            as enrolled_on,
        memberships.recruit_store_id,
        memberships.service_store_id,
        memberships.recruit_channel,
        memberships.recruit_method,
        closures.closed_on,
        case when not memberships.is_known_by_it then memberships.joined_on end as merged_on,
        case when not memberships.is_known_by_it then memberships.member_id end as merged_into
    from memberships
    left join closures on memberships.id = closures.member_id
    where
        memberships.is_known_by_it
        or memberships.kind = 'card'
        or (memberships.is_merged_away and not memberships.has_card)
)

select * from final
