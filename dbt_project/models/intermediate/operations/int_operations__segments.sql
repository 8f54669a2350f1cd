-- Grain: one row per week whose list is made by this build, service store, member of staff and stage with valid
-- members on the Sunday before, and one per store for all other sales (staff and stage none): what is to be expected
-- of it in the week. Of a member what members of the stage did, chain-wide, in the weeks of the quarter before; other
-- sales are what the store sold in a week of that quarter beyond that.

with members as (
    select
        week_start,
        store_id,
        staff_id,
        stage_code,
        count(*)::integer as members
    from {{ ref('int_operations__standing') }}
    group by week_start, store_id, staff_id, stage_code
),

lists as (
    select
        week_start,
        week_start - 91 as quarter_start
    from members
    group by week_start
),

-- members of each stage at the start of a week, and what they bought in it
standing as (
    select
        week_start + 7 as week_start,
        stage_code,
        sum(members) as members
    from {{ ref('stage_mix_weekly') }}
    where week_start + 7 >= (select min(quarter_start) from lists) and {{ is_valid_stage('stage_code') }}
    group by week_start, stage_code
),

days as (
    select
        member_id,
        date_trunc('week', business_date)::date as week_start,
        receipts,
        net_sales_amount
    from {{ ref('int_members__days') }}
    where
        business_date >= (select min(quarter_start) from lists)
        and business_date < (select max(week_start) from lists)
),

bought as (
    select
        days.week_start,
        stages.stage_code,
        count(distinct days.member_id) filter (where days.receipts > 0) as buyers,
        sum(days.net_sales_amount) as net_amount
    from days
    inner join {{ ref('int_lifecycle__stages') }} as stages
        on
            days.member_id = stages.member_id
            and days.week_start - 1 >= stages.valid_from
            and days.week_start - 1 < stages.valid_to
    group by days.week_start, stages.stage_code
),

rates as (
    select
        lists.week_start,
        standing.stage_code,
        {{ rate('sum(bought.buyers)', 'sum(standing.members)') }} as expected_rate,
        (greatest(sum(bought.net_amount), 0) / nullif(sum(bought.buyers), 0))::numeric(14, 2) as spend_amount
    from lists
    inner join standing on lists.quarter_start <= standing.week_start and lists.week_start > standing.week_start
    left join bought on standing.week_start = bought.week_start and standing.stage_code = bought.stage_code
    group by lists.week_start, standing.stage_code
),

expected as (
    select
        members.week_start,
        members.store_id,
        members.staff_id,
        members.stage_code,
        members.members,
        coalesce(rates.expected_rate, 0) as expected_rate,
        coalesce(rates.spend_amount, 0) as spend_amount,
        coalesce(members.members * rates.expected_rate * rates.spend_amount, 0)::numeric(14, 2) as expected_amount
    from members
    left join rates on members.week_start = rates.week_start and members.stage_code = rates.stage_code
),

store_weeks as (
    select
        lists.week_start,
        sales.store_id,
        (sum(sales.net_sales_amount) / count(distinct date_trunc('week', sales.business_date)))::numeric(14, 2)
            as net_amount
    from lists
    inner join {{ ref('int_receipts__store_days') }} as sales
        on lists.quarter_start <= sales.business_date and lists.week_start > sales.business_date
    group by lists.week_start, sales.store_id
),

others as (
    select
        store_weeks.week_start,
        store_weeks.store_id,
        'none' as staff_id,
        'none' as stage_code,
        greatest(store_weeks.net_amount - coalesce(sum(expected.expected_amount), 0), 0.01)::numeric(14, 2)
            as expected_amount
    from store_weeks
    left join expected on store_weeks.week_start = expected.week_start and store_weeks.store_id = expected.store_id
    group by store_weeks.week_start, store_weeks.store_id, store_weeks.net_amount
),

final as (
    select
        week_start,
        store_id,
        staff_id,
        stage_code,
        members,
        expected_rate,
        spend_amount,
        expected_amount
    from expected
    union all
    select
        week_start,
        store_id,
        staff_id,
        stage_code,
        null::integer as members,
        null::numeric(14, 6) as expected_rate,
        null::numeric(14, 2) as spend_amount,
        expected_amount
    from others
)

select * from final
