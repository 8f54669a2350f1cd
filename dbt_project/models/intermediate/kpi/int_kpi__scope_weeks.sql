-- Grain: one row per week of which some figure may differ from the highest published release: counts of members, sales,
-- or whether it is complete.
with step as (
    select * from {{ ref('int_release__step') }}
),

weeks as (
    select * from {{ ref('week_close') }}
),

sales as (
    {{ changes('int_receipts__store_days', ['business_date']) }}
),

batches as (
    select * from {{ ref('int_release__changed_batches') }}
    where is_changed
),

found as (
    select week_start from {{ ref('int_kpi__touched_weeks') }}
    union
    select date_trunc('week', day)::date as week_start from {{ ref('int_kpi__touched_days') }}
    union
    select date_trunc('week', business_date)::date as week_start from sales
    union
    -- whether a day is covered
    select date_trunc('week', business_date)::date as week_start from batches
    where source = 'pos' and feed in ('receipts', 'receipt_lines')
    union
    select weeks.week_start
    from weeks
    where
        exists (select 1 from {{ ref('int_kpi__changed_stores') }})
        or exists (select 1 from {{ ref('int_release__moved_first_day') }})
        or exists (
            select 1 from batches
            where source = 'reference' and feed = 'store_closures'
        )
),

final as (
    select week_start from found
    where not (select is_full from step)
)

select * from final
