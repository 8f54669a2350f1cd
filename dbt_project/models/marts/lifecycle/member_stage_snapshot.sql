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

members as (
    select * from {{ ref('dim_member') }}
),

final as (
    select
        weeks.week_start,
        weeks.closing_on as snapshot_on,
        stages.member_id,
        stores.store_id,
        members.tier,
        stages.stage_code
    from weeks
    inner join stages on weeks.closing_on >= stages.valid_from and weeks.closing_on < stages.valid_to
    inner join stores
        on
            stages.member_id = stores.member_id
            and weeks.closing_on >= stores.valid_from
            and weeks.closing_on < stores.valid_to
    inner join members on stages.member_id = members.member_id
)

select * from final
