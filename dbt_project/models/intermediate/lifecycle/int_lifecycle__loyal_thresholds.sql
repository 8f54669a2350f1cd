-- Grain: one row per calendar quarter up to the as-of date. The threshold of a quarter is computed at the close of
-- the day before it, and is frozen by the first published release that used it: from then on it is read, not computed.
with building as (
    select as_of_date from {{ source('release', 'building') }}
),

frozen as (
    select * from {{ source('release', 'frozen_loyal_threshold') }}
),

members as not materialized (
    select * from {{ ref('int_members__members') }}
),

exclusions as (
    select * from {{ ref('int_members__exclusions') }}
),

bounds as (
    select min(enrolled_on) as first_enrolled_on from members
),

quarters as (
    select quarter::date as quarter_start
    from building
    cross join bounds
    cross join generate_series(
        date_trunc('quarter', bounds.first_enrolled_on::timestamp),
        building.as_of_date::timestamp,
        interval '3 months'
    ) as quarter
),

open_quarters as (
    select quarters.quarter_start
    from quarters
    left join frozen on quarters.quarter_start = frozen.quarter_start
    where frozen.quarter_start is null
),

buyers as (
    select distinct
        open_quarters.quarter_start,
        days.member_id
    from open_quarters
    inner join {{ ref('int_members__days') }} as days
        on
            open_quarters.quarter_start > days.business_date
            and days.business_date >= open_quarters.quarter_start - {{ lifecycle_parameter('window_days') }}::integer
            and open_quarters.quarter_start <= days.counted_until
    inner join members
        on days.member_id = members.member_id and open_quarters.quarter_start > members.enrolled_on
    left join exclusions
        on
            days.member_id = exclusions.member_id
            and open_quarters.quarter_start > exclusions.excluded_from
            and open_quarters.quarter_start <= exclusions.excluded_to
    where exclusions.member_id is null
),

spend as (
    select
        buyers.quarter_start,
        buyers.member_id,
        coalesce(sum(sales.net_sales_amount), 0) as spend
    from buyers
    left join {{ ref('int_members__days') }} as sales
        on
            buyers.member_id = sales.member_id
            and buyers.quarter_start > sales.business_date
            and sales.business_date >= buyers.quarter_start - {{ lifecycle_parameter('window_days') }}::integer
    group by buyers.quarter_start, buyers.member_id
),

computed as (
    select
        quarter_start,
        percentile_cont({{ lifecycle_parameter('loyal_percentile') }}::double precision)
        within group (order by spend)::numeric(14, 2) as loyal_threshold_amount
    from spend
    group by quarter_start
),

final as (
    select
        quarters.quarter_start,
        case
            when frozen.quarter_start is not null then frozen.loyal_threshold_amount
            else computed.loyal_threshold_amount
        end as loyal_threshold_amount,
        frozen.quarter_start is not null as is_frozen
    from quarters
    left join frozen on quarters.quarter_start = frozen.quarter_start
    left join computed on quarters.quarter_start = computed.quarter_start
)

select * from final
