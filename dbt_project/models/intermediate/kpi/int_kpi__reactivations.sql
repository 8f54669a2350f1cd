-- Grain: one row per member and day on which a purchase took it back (into stage S07), with its service store of that
-- day and its next purchase day.
{{ config(
    unique_key=['member_id', 'entered_on'],
    scope={'columns': ['member_id'], 'relation': 'int_lifecycle__touched_members'},
    lookups=[['entered_on']],
) }}

with days as (
    select * from {{ ref('int_members__days') }}
    where {{ in_scope('member_id', 'int_lifecycle__touched_members') }}
),

entries as (
    select
        moves.member_id,
        moves.moved_on as entered_on,
        moves.after_store_id as store_id
    from {{ ref('int_kpi__moves') }} as moves
    -- whoever is no longer blocked was S07 all the time
    inner join days on moves.member_id = days.member_id and moves.moved_on = days.business_date
    where
        moves.after_stage_code = 'S07'
        and moves.before_stage_code is distinct from 'S07'
        and days.counted_until is not null
        and {{ in_scope('moves.member_id', 'int_lifecycle__touched_members') }}
),

final as (
    select
        entries.member_id,
        entries.entered_on,
        entries.store_id,
        min(days.business_date) as next_purchase_on
    from entries
    left join days
        on entries.member_id = days.member_id and entries.entered_on < days.business_date and days.receipts > 0
    group by entries.member_id, entries.entered_on, entries.store_id
)

select * from final
