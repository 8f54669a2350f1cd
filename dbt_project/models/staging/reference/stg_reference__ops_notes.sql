-- Grain: one row per store, member of staff (null: the store), week and phase of its plan, do, check, act: the note
-- that was delivered last.
with notes as (
    {{ active_rows('reference', 'ops_notes') }}
),

numbered as (
    select
        notes.*,
        row_number() over (
            partition by store_id, staff_id, week_start, phase
            order by _delivered_on desc, _batch_id desc, _line_no desc
        ) as recency
    from notes
),

final as (
    select
        store_id,
        staff_id,
        week_start,
        phase,
        text
    from numbered
    where recency = 1
)

select * from final
