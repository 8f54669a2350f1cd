-- Grain: one row per member, flag (closed, blocked, staff, test) and period in which it is set; the end is exclusive.
with flags as (
    select * from {{ ref('stg_pos__member_status') }}
),

periods as (
    select
        member_id,
        flag,
        is_set,
        changed_on as flagged_from,
        lead(changed_on, 1, date '9999-12-31') over (partition by member_id, flag order by changed_on) as flagged_to
    from flags
),

final as (
    select
        member_id,
        flag,
        flagged_from,
        flagged_to
    from periods
    where is_set
)

select * from final
