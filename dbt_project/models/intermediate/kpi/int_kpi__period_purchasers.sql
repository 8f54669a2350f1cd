-- Grain: one row per kind of period, period and service store at its close: valid members with a purchase in the period
-- that stood at its close.
with periods as (
    select * from {{ ref('int_kpi__periods') }}
    where {{ in_scope(['period_type', 'period_start'], 'int_kpi__scope_periods') }}
),

purchasers as (
    {{ purchasers('periods') }}
),

final as (
    select
        period_type,
        period_start,
        store_id,
        count(*) as purchasing_members
    from purchasers
    group by period_type, period_start, store_id
)

select * from final
