-- Grain: one row per member and period in which the member counts nowhere (closed, merged away, blocked, staff or
-- test); the end is exclusive. Several reasons at once are one period.
{{ config(
    unique_key=['member_id', 'excluded_from'],
    scope={'columns': ['member_id'], 'relation': 'int_members__touched_ids'},
) }}

with reasons as (
    select
        member_id,
        flagged_from as excluded_from,
        flagged_to as excluded_to
    from {{ ref('int_members__flag_periods') }}
    where {{ in_scope('member_id', 'int_members__touched_ids') }}
    union all
    select
        member_id,
        merged_on,
        date '9999-12-31'
    from {{ ref('int_members__members') }}
    where merged_on is not null and {{ in_scope('member_id', 'int_members__touched_ids') }}
),

periods as (
    select
        member_id,
        unnest(range_agg(daterange(excluded_from, excluded_to))) as period
    from reasons
    group by member_id
),

final as (
    select
        member_id,
        lower(period) as excluded_from,
        upper(period) as excluded_to
    from periods
)

select * from final
