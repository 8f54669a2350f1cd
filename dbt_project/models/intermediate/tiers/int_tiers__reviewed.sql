-- Grain: as int_tiers__told; what the source says of another card of the member, once the two were one, is the review
-- of the member and ends what was said before.
{{ config(indexes=[{'columns': ['member_id']}]) }}

with final as (
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
    from {{ ref('int_tiers__told') }} as said
    left join {{ ref('int_tiers__told') }} as other
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
)

select * from final
