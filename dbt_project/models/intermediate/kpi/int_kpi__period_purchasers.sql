-- Grain: one row per kind of period, period and service store at its close: valid members with a purchase in the period
-- that stood at its close.
with periods as (
    select * from {{ ref('int_kpi__periods') }}
    where {{ in_scope(['period_type', 'period_start'], 'int_kpi__scope_periods') }}
),

purchasers as (
    select distinct
        periods.period_type,
        periods.period_start,
        periods.closing_on,
        days.member_id
    from periods
    -- what came back later was still a purchase at that close
    inner join {{ ref('int_members__days') }} as days
        on
            periods.period_start <= days.business_date
            and periods.closing_on >= days.business_date
            and periods.closing_on < days.counted_until
),

final as (
    select
        purchasers.period_type,
        purchasers.period_start,
        stores.store_id,
        count(*) as purchasing_members
    from purchasers
    inner join {{ ref('int_lifecycle__stages') }} as stages
        on
            purchasers.member_id = stages.member_id
            and purchasers.closing_on >= stages.valid_from
            and purchasers.closing_on < stages.valid_to
    inner join {{ ref('int_members__service_stores') }} as stores
        on
            purchasers.member_id = stores.member_id
            and purchasers.closing_on >= stores.valid_from
            and purchasers.closing_on < stores.valid_to
    where {{ is_valid_stage('stages.stage_code') }}
    group by purchasers.period_type, purchasers.period_start, stores.store_id
)

select * from final
