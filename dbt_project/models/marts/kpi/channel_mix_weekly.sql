-- Grain: one row per week, level (store, region, hq), its id and the channels that members had bought through in the
-- 365 days to the week's close. Members count by service store at the close, money by selling store.
{{ config(
    unique_key=['week_start', 'level', 'level_id', 'channel_mix'],
    scope={'columns': ['week_start'], 'relation': 'int_kpi__touched_mixes'},
    may_be_empty=true,
) }}
-- depends_on: {{ ref('int_kpi__touched_mixes') }}

with weeks as (
    select * from {{ ref('int_kpi__periods') }}
    where period_type = 'week' and {{ in_scope('period_start', 'int_kpi__touched_mixes', ['week_start']) }}
),

purchasers as (
    {{ purchasers('weeks') }}
),

money as (
    select
        weeks.period_start,
        receipts.member_id,
        receipts.store_id,
        sum(receipts.net_sales_amount) as net_sales_amount
    from weeks
    inner join {{ ref('fct_receipt') }} as receipts
        on weeks.period_start <= receipts.business_date and weeks.closing_on >= receipts.business_date
    where receipts.is_member_receipt
    group by weeks.period_start, receipts.member_id, receipts.store_id
),

seen as (
    select
        period_start,
        member_id
    from purchasers
    union
    select
        period_start,
        member_id
    from money
),

channels as (
    select
        seen.period_start,
        seen.member_id,
        bool_or(coalesce(receipts.channel, 'store') in ('app', 'mini_program')) as is_by_app,
        bool_or(coalesce(receipts.channel, 'store') not in ('app', 'mini_program')) as is_in_store
    from seen
    inner join weeks on seen.period_start = weeks.period_start
    inner join {{ ref('fct_receipt') }} as receipts
        on
            seen.member_id = receipts.member_id
            and weeks.closing_on >= receipts.business_date
            and weeks.closing_on - {{ lifecycle_parameter('window_days') }}::integer < receipts.business_date
    where
        receipts.qualifies_at_sale
        and (receipts.unqualified_on is null or receipts.unqualified_on > weeks.closing_on)
    group by seen.period_start, seen.member_id
),

mixes as (
    select
        period_start,
        member_id,
        case
            when is_by_app and is_in_store then 'both'
            when is_by_app then 'app_only'
            else 'store_only'
        end as channel_mix
    from channels
),

counted as (
    select
        period_start,
        member_id,
        store_id,
        1 as purchasing_members,
        0 as net_sales_amount
    from purchasers
    union all
    select
        period_start,
        member_id,
        store_id,
        0 as purchasing_members,
        net_sales_amount
    from money
),

by_store as (
    select
        counted.period_start as week_start,
        coalesce(mixes.channel_mix, 'none') as channel_mix,
        counted.store_id,
        stores.region,
        sum(counted.purchasing_members) as purchasing_members,
        sum(counted.net_sales_amount) as net_sales_amount
    from counted
    inner join {{ ref('dim_store') }} as stores on counted.store_id = stores.store_id
    left join mixes on counted.period_start = mixes.period_start and counted.member_id = mixes.member_id
    group by counted.period_start, coalesce(mixes.channel_mix, 'none'), counted.store_id, stores.region
),

by_level as (
    select
        week_start,
        {{ level() }} as level,
        {{ level_id() }} as level_id,
        channel_mix,
        sum(purchasing_members)::bigint as purchasing_members,
        sum(net_sales_amount)::numeric(14, 2) as net_sales_member_amount
    from by_store
    group by {{ by_level(['week_start', 'channel_mix']) }}
),

final as (
    select
        week_start,
        level,
        level_id,
        channel_mix,
        purchasing_members,
        net_sales_member_amount,
        (net_sales_member_amount / nullif(purchasing_members, 0))::numeric(14, 2) as spend_per_member_amount
    from by_level
    where purchasing_members > 0 or net_sales_member_amount <> 0
)

select * from final
