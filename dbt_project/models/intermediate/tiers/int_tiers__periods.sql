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
-- depends_on: {{ ref('int_tiers__touched_members') }}

with reviewed as (
    select * from {{ ref('int_tiers__reviewed') }}
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
