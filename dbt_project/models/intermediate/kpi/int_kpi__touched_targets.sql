-- Grain: one row per kind of period and period whose targets may be spread otherwise than in the highest published
-- release: told anew, begun or gone on, or spread by sales of the year before that changed or are known only now.
with step as (
    select * from {{ ref('int_release__step') }}
),

sales as (
    {{ changes('int_receipts__store_days', ['business_date']) }}
),

sales_days as (
    select distinct business_date from sales
),

delivered as (
    {{ changed_rows('reference', 'targets', ['fed.period_type', 'fed.period_start']) }}
),

published as (
    {{ published_rows('target_decomposition', {'period_type': 'text', 'period_start': 'date'}) }}
),

told as (
    select
        period_type,
        period_start
    from {{ ref('stg_reference__targets') }}
    union
    select
        period_type,
        period_start
    from published
),

spans as (
    select
        told.period_type,
        told.period_start,
        (told.period_start + kinds.length)::date - 1 as last_day
    from told
    inner join {{ ref('int_kpi__period_types') }} as kinds on told.period_type = kinds.period_type
),

final as (
    select
        spans.period_type,
        spans.period_start
    from spans
    cross join step
    where
        not step.is_full
        and (
            exists (select 1 from {{ ref('int_release__moved_first_day') }})
            or exists (
                select 1 from delivered
                where
                    delivered.period_type = spans.period_type
                    and delivered.period_start between spans.period_start and spans.last_day
            )
            or (spans.period_start <= step.to_date and spans.last_day >= step.from_date)
            -- the whole stretch of the year before has come into sight, or gone out of it
            or (spans.last_day - 364 >= step.from_date and spans.last_day - 364 <= step.to_date)
            or exists (
                select 1 from sales_days
                where sales_days.business_date between spans.period_start - 364 and spans.last_day - 364
            )
        )
)

select * from final
