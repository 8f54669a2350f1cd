-- Grain: one row per member and period in which the member counts nowhere (closed, blocked, staff or test);
-- the end is exclusive.
with flags as (
    select * from {{ ref('stg_pos__member_status') }}
),

flag_periods as (
    select
        member_id,
        is_set,
        changed_on as from_date,
        lead(changed_on, 1, date '9999-12-31') over (partition by member_id, flag order by changed_on) as to_date
    from flags
),

final as (
    -- several flags at once are one period
    select
        member_id,
        lower(period) as excluded_from,
        upper(period) as excluded_to
    from (
        select
            member_id,
            unnest(range_agg(daterange(from_date, to_date))) as period
        from flag_periods
        where is_set
        group by member_id
    ) as periods
)

select * from final
