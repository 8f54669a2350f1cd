-- Grain: one row per week and earlier week that it is compared with, of which something may differ from the highest
-- published release: who bought what in one of them, which days are covered, or how far the week has gone.
with step as (
    select * from {{ ref('int_release__step') }}
),

batches as (
    select * from {{ ref('int_release__changed_batches') }}
    where is_changed
),

touched as (
    select date_trunc('week', business_date)::date as week_start from {{ ref('int_release__touched_store_days') }}
    union
    select date_trunc('week', business_date)::date as week_start from batches
    where source = 'pos' and feed in ('receipts', 'receipt_lines')
    union
    -- weeks that went on, or back
    select week::date as week_start
    from step
    cross join
        generate_series(
            date_trunc('week', step.from_date::timestamp), step.to_date::timestamp, interval '7 days'
        ) as week
),

-- every week is another one then
is_all_touched as (
    select
        exists (select 1 from {{ ref('int_kpi__changed_stores') }})
        or exists (select 1 from {{ ref('int_release__moved_first_day') }})
        or exists (
            select 1 from batches
            where source = 'reference' and feed = 'store_closures'
        ) as is_touched
),

published as (
    {{ published_rows('sales_decomposition_weekly', {'week_start': 'date', 'compared_with': 'text'}) }}
),

kinds as (
    {{ comparisons() }}
),

found as (
    select
        touched.week_start,
        kinds.compared_with
    from touched
    cross join kinds
    union
    select
        touched.week_start + kinds.days_apart as week_start,
        kinds.compared_with
    from touched
    cross join kinds
    union
    select
        week_start,
        compared_with
    from {{ ref('int_kpi__comparisons') }}
    where (select is_touched from is_all_touched)
    union
    -- that are not there any more
    select
        week_start,
        compared_with
    from published
    where (select is_touched from is_all_touched)
),

final as (
    select
        week_start,
        compared_with
    from found
    where not (select step.is_full from step)
)

select * from final
