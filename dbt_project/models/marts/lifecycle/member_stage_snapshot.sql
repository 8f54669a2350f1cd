-- Grain: one row per member and week close (for the unfinished week: the as-of date). A view; nothing is stored.
{{ config(materialized='published_view') }}

with weeks as (
    select * from {{ ref('week_close') }}
),

history as (
    select * from {{ ref('member_stage_history') }}
),

members as (
    select * from {{ ref('dim_member') }}
),

final as (
    select
        weeks.week_start,
        weeks.closing_on as snapshot_on,
        history.member_id,
        members.service_store_id as store_id,
        members.tier,
        history.stage_code
    from weeks
    inner join history on weeks.closing_on >= history.valid_from and weeks.closing_on < history.valid_to
    inner join members on history.member_id = members.member_id
)

select * from final
