-- Grain: one row per event of the calendar whose effect may differ from the highest published release: sales of the
-- days around it or of the weeks that it is compared with changed, it came or went, or 7 days after it have passed.
with step as (
    select * from {{ ref('int_release__step') }}
),

batches as (
    select * from {{ ref('int_release__changed_batches') }}
    where is_changed
),

sales as (
    {{ changes('int_receipts__store_days', ['business_date']) }}
),

sales_days as (
    select business_date from sales
    union
    -- whether a day is covered
    select business_date from batches
    where source = 'pos' and feed in ('receipts', 'receipt_lines')
),

published as (
    {{ published_rows('member_day_effect', {'event_date': 'date'}) }}
),

events as (
    select event_date from {{ ref('stg_reference__calendar') }}
    union
    select event_date from published
),

final as (
    select events.event_date
    from events
    cross join step
    where
        not step.is_full
        and (
            exists (select 1 from {{ ref('int_kpi__changed_stores') }})
            or exists (select 1 from {{ ref('int_release__moved_first_day') }})
            or exists (
                select 1 from batches
                where source = 'reference' and feed in ('calendar', 'store_closures')
            )
            or (events.event_date >= step.from_date - 7 and events.event_date <= step.to_date)
            or exists (
                select 1 from sales_days
                where
                    sales_days.business_date <= events.event_date + 7
                    -- the weeks before: 26, and the days until they end
                    and sales_days.business_date >= events.event_date - 7 - 26 * 7 - 6
            )
        )
)

select * from final
