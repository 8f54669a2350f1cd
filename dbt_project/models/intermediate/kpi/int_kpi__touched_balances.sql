-- Grain: one row per week whose balance of contacts may differ from the highest published release: a contact of it, or
-- of the 90 days before its close, changed, or it went on, or 14 days after it have passed.
with step as (
    select * from {{ ref('int_release__step') }}
),

contacts as (
    {{ changes('fct_contact', ['made_on']) }}
),

made_days as (
    select distinct made_on from contacts
    where made_on is not null
),

published as (
    {{ published_rows('contact_balance_weekly', {'week_start': 'date'}) }}
),

weeks as (
    select period_start as week_start from {{ ref('int_kpi__periods') }}
    where period_type = 'week'
    union
    select week_start from published
),

final as (
    select weeks.week_start
    from weeks
    cross join step
    where
        not step.is_full
        and (
            exists (select 1 from {{ ref('int_kpi__changed_stores') }})
            or exists (select 1 from {{ ref('int_release__moved_first_day') }})
            or (weeks.week_start <= step.to_date and weeks.week_start + 6 + 14 >= step.from_date)
            or exists (
                select 1 from made_days
                where
                    made_days.made_on <= weeks.week_start + 6
                    -- the days before: 90 with its last one
                    and made_days.made_on >= weeks.week_start - 90
            )
        )
)

select * from final
