-- Grain: one row per calendar month that is over and whose figures of the 365 days before its end may differ from the
-- highest published release.
with months as (
    select * from {{ ref('int_kpi__periods') }}
    where period_type = 'month'
),

gaps as (
    {{ changes('int_members__gaps', ['business_date']) }}
),

-- a purchase day that came back later is missed in what is told of its months' gaps
gap_days as (
    select distinct business_date from gaps
),

final as (
    select months.period_start as month_start
    from months
    where
        months.last_day in (select touched.day from {{ ref('int_kpi__touched_days') }} as touched)
        or exists (select 1 from {{ ref('int_kpi__changed_stores') }})
        or exists (
            select 1 from gap_days
            where
                gap_days.business_date <= months.last_day
                and gap_days.business_date > months.last_day - {{ lifecycle_parameter('window_days') }}::integer
        )
)

select * from final
