-- Grain: one row per member and week close (for the unfinished week: the as-of date). A view; nothing is stored.
{{ config(materialized='published_view') }}

with weeks as (
    select * from {{ ref('week_close') }}
),

stages as (
    select * from {{ ref('int_lifecycle__stages') }}
),

stores as (
    select * from {{ ref('int_members__service_stores') }}
),

tiers as (
    select * from {{ ref('int_tiers__periods') }}
),

final as (
    select
        weeks.week_start,
        weeks.closing_on as snapshot_on,
        stages.member_id,
        stores.store_id,
        coalesce(tiers.tier, 'not_fed') as tier,
        stages.stage_code
    from weeks
    inner join stages on weeks.closing_on >= stages.valid_from and weeks.closing_on < stages.valid_to
    inner join stores
        on
            stages.member_id = stores.member_id
            and weeks.closing_on >= stores.valid_from
            and weeks.closing_on < stores.valid_to
    left join tiers
        on
            stages.member_id = tiers.member_id
            and weeks.closing_on >= tiers.valid_from
            and weeks.closing_on < tiers.valid_to
)

select * from final
