-- Grain: one row per member in scope, card and period, end exclusive, over which the source said one tier of the card
-- while it was the member's. A table of its own, so that joining it with itself is planned by the number of its rows.
{{ config(indexes=[{'columns': ['member_id']}]) }}

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
    {% if not is_full_build() -%}
    -- an array, so that the index on cards is used
    where told.card_no = any(array(select cards.card_no from cards))
    {%- endif %}
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

final as (
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
)

select * from final
