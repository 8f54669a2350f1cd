-- Grain: one row per reconciliation: two ways to the same number, and how far they are apart.
with kpi as (
    select * from {{ ref('kpi_weekly') }}
),

levels as (
    select
        week_start,
        level,
        sum(valid_members) as members,
        sum(purchasing_members) as purchasing_members,
        sum(new_members) as new_members,
        sum(sale_receipts) as sale_receipts,
        sum(net_sales_amount) as net_sales_amount
    from kpi
    group by week_start, level
),

level_gaps as (
    select
        coalesce(max(
            abs(parts.members - hq.members) + abs(parts.purchasing_members - hq.purchasing_members)
            + abs(parts.new_members - hq.new_members) + abs(parts.sale_receipts - hq.sale_receipts)
            + abs(parts.net_sales_amount - hq.net_sales_amount)
        ), 0) as gap
    from levels as hq
    inner join levels as parts on hq.week_start = parts.week_start and parts.level <> 'hq'
    where hq.level = 'hq'
),

mix as (
    select
        week_start,
        stage_code,
        sum(members) as members
    from {{ ref('stage_mix_weekly') }}
    group by week_start, stage_code
),

valid_mix as (
    select
        week_start,
        sum(members) as members
    from mix
    where {{ is_valid_stage('stage_code') }}
    group by week_start
),

mix_gaps as (
    select coalesce(max(abs(kpi.valid_members - coalesce(valid_mix.members, 0))), 0) as gap
    from kpi
    left join valid_mix on kpi.week_start = valid_mix.week_start
    where kpi.level = 'hq'
),

migration as (
    select
        week_start,
        to_stage as stage_code,
        sum(members) as members
    from {{ ref('stage_migration_weekly') }}
    group by week_start, to_stage
),

migration_gaps as (
    select coalesce(max(abs(coalesce(mix.members, 0) - coalesce(migration.members, 0))), 0) as gap
    from mix
    full join migration on mix.week_start = migration.week_start and mix.stage_code = migration.stage_code
),

final as (
    select
        'stores and regions add up to head office' as reconciliation,
        (select gap from level_gaps)::numeric as gap
    union all
    select
        'stage mix adds up to valid members',
        (select gap from mix_gaps)
    union all
    select
        'migration columns are the stage mix at close',
        (select gap from migration_gaps)
    union all
    select
        'head office net sales are the receipts of all weeks',
        (
            select sum(net_sales_amount) from kpi
            where level = 'hq'
        )
        - (select sum(net_sales_amount) from {{ ref('fct_receipt') }})
)

select * from final
