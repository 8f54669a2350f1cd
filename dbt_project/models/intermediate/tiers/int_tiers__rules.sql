-- Grain: one row per tier and period, end exclusive, in which it asks for this. From the first fed date on only what is
-- fed counts. rung: the place of the tier in the ladder, 1 the lowest, by what it asks for last.
{{ config(
    schema='marts',
    materialized='versioned',
    consistency_group='core',
    contract={'enforced': true},
    unique_key=['tier', 'valid_from'],
    is_published=false,
) }}

with fed as (
    select * from {{ ref('stg_reference__tier_rules') }}
),

book as (
    select coalesce(min(valid_from), date '9999-12-31') as fed_from from fed
),

said as (
    select
        tier,
        valid_from,
        spend_365,
        purchase_days_365,
        tenure_days,
        engagement_30,
        grace_days,
        date '9999-12-31' as ends_by
    from fed
    union all
    select
        shipped.tier,
        shipped.valid_from,
        shipped.spend_365,
        shipped.purchase_days_365,
        shipped.tenure_days,
        shipped.engagement_30,
        shipped.grace_days,
        book.fed_from as ends_by
    from {{ ref('tier_rules') }} as shipped
    cross join book
    where shipped.valid_from < book.fed_from
),

dated as (
    select
        said.*,
        least(lead(valid_from) over by_tier, ends_by) as valid_to,
        lead(valid_from) over by_tier as next_from
    from said
    window by_tier as (partition by tier order by valid_from)
),

ladder as (
    select
        tier,
        row_number() over (
            order by spend_365, purchase_days_365 nulls first, tenure_days nulls first, engagement_30 nulls first, tier
        )::integer as rung
    from dated
    where next_from is null
),

final as (
    select
        dated.tier,
        dated.valid_from,
        dated.valid_to,
        ladder.rung,
        dated.spend_365::numeric(14, 2) as spend_365_amount,
        dated.purchase_days_365,
        dated.tenure_days,
        dated.engagement_30,
        coalesce(dated.grace_days, {{ tier_parameter('grace_days') }}) as grace_days,
        dated.spend_365 <= 0
        and coalesce(dated.purchase_days_365, 0) <= 0
        and coalesce(dated.tenure_days, 0) <= 0
        and coalesce(dated.engagement_30, 0) <= 0 as asks_nothing,
        (dated.valid_to < date '9999-12-31' and dated.valid_to is distinct from dated.next_from) as is_dropped
    from dated
    inner join ladder on dated.tier = ladder.tier
)

select * from final
