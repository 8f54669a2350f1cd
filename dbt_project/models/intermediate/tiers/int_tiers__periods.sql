-- Grain: one row per member and period, end exclusive, in which the source system had it in one tier. Only what it said
-- by the as-of date; a member of whom it said nothing has no row.
-- Each card has the tier that was said of it last. Of several cards of one member the highest counts, until the source
-- says something of any of them after they were joined: that is the review of the member, and replaces what was said
-- of the others before.
{{ config(
    schema='marts',
    materialized='versioned',
    consistency_group='core',
    contract={'enforced': true},
    unique_key=['member_id', 'valid_from'],
    scope={'columns': ['member_id'], 'relation': 'int_tiers__touched_members'},
    is_published=false,
    fed_by=['pos__member_tiers'],
) }}

with cards as (
    select
        bridge.member_id,
        bridge.identifier as card_no,
        bridge.valid_from as held_from,
        bridge.valid_to as held_to,
        coalesce(members.merged_on, date '0001-01-01') as joined_on
    from {{ ref('bridge_identity') }} as bridge
    left join {{ ref('int_members__members') }} as members on bridge.identifier = members.member_id
    where
        bridge.identifier_kind = 'card'
        and {{ in_scope('bridge.member_id', 'int_tiers__touched_members') }}
),

told as (
    select
        told.card_no,
        told.tier,
        told.valid_from,
        told.reason,
        row_number() over (
            partition by told.card_no, told.valid_from
            order by told._delivered_on desc, told._batch_id desc, told._line_no desc
        ) as recency
    from {{ ref('stg_pos__member_tiers') }} as told
    where told.card_no in (select card_no from cards)
),

of_cards as (
    select
        card_no,
        tier,
        reason,
        valid_from,
        lead(valid_from, 1, date '9999-12-31') over (partition by card_no order by valid_from) as valid_to
    from told
    where recency = 1
),

of_members as (
    select
        cards.member_id,
        cards.card_no,
        cards.joined_on,
        of_cards.tier,
        of_cards.reason,
        tiers.sort_order,
        of_cards.valid_from as told_on,
        greatest(of_cards.valid_from, cards.held_from) as valid_from,
        least(of_cards.valid_to, cards.held_to) as valid_to
    from of_cards
    inner join cards
        on
            of_cards.card_no = cards.card_no
            and of_cards.valid_from < cards.held_to
            and of_cards.valid_to > cards.held_from
    inner join {{ ref('dim_tier') }} as tiers on of_cards.tier = tiers.tier
),

-- what was said of another card of the member, once the two were one
reviewed as (
    select
        said.member_id,
        said.card_no,
        said.joined_on,
        said.tier,
        said.reason,
        said.sort_order,
        said.told_on,
        said.valid_from,
        least(said.valid_to, min(other.told_on)) as valid_to
    from of_members as said
    left join of_members as other
        on
            said.member_id = other.member_id
            and said.card_no <> other.card_no
            and said.told_on < other.told_on
            and greatest(said.joined_on, other.joined_on) <= other.told_on
            and other.valid_from = other.told_on
    group by
        said.member_id,
        said.card_no,
        said.joined_on,
        said.tier,
        said.reason,
        said.sort_order,
        said.told_on,
        said.valid_from,
        said.valid_to
),

cuts as (
    select
        member_id,
        valid_from as day
    from reviewed
    union
    select
        member_id,
        valid_to as day
    from reviewed
),

stretches as (
    select
        member_id,
        day as valid_from,
        lead(day) over (partition by member_id order by day) as valid_to
    from cuts
),

highest as (
    select distinct on (stretches.member_id, stretches.valid_from)
        stretches.member_id,
        stretches.valid_from,
        stretches.valid_to,
        reviewed.tier,
        reviewed.reason
    from stretches
    inner join reviewed
        on
            stretches.member_id = reviewed.member_id
            and stretches.valid_from >= reviewed.valid_from
            and stretches.valid_from < reviewed.valid_to
    order by
        stretches.member_id asc,
        stretches.valid_from asc,
        reviewed.sort_order desc,
        reviewed.told_on desc,
        reviewed.card_no asc
),

marked as (
    select
        highest.*,
        (
            lag(tier) over by_day is distinct from tier or lag(valid_to) over by_day is distinct from valid_from
        ) as is_start
    from highest
    window by_day as (partition by member_id order by valid_from)
),

numbered as (
    select
        marked.*,
        count(*) filter (where is_start) over (partition by member_id order by valid_from) as period_no
    from marked
),

final as (
    select
        member_id,
        min(valid_from) as valid_from,
        max(valid_to) as valid_to,
        tier,
        (array_agg(reason order by valid_from))[1] as reason
    from numbered
    group by member_id, period_no, tier
)

select * from final
