-- Grain: one row per reconciliation: two ways to the same number, and how far they are apart.
-- Of the weeks that this build looked at.
with kpi as (
    select * from {{ ref('kpi_weekly') }}
    where {{ in_scope('week_start', 'int_audit__weeks') }}
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
    where {{ in_scope('week_start', 'int_audit__weeks') }}
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
    where {{ in_scope('week_start', 'int_audit__weeks') }}
    group by week_start, to_stage
),

migration_gaps as (
    select coalesce(max(abs(coalesce(mix.members, 0) - coalesce(migration.members, 0))), 0) as gap
    from mix
    full join migration on mix.week_start = migration.week_start and mix.stage_code = migration.stage_code
),

-- opening + all that came - all that went = closing
stocktake_gaps as (
    select
        coalesce(max(abs(
            opening + enrolled + reopened + included + transfer_in - closed - merged - excluded - transfer_out - closing
        )), 0) as gap
    from {{ ref('member_stocktake_weekly') }}
    where {{ in_scope('week_start', 'int_audit__weeks') }}
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
        'members at close are those at opening, who came and who left',
        (select gap from stocktake_gaps)
    union all
    select
        'head office net sales are the receipts of the weeks',
        (
            select sum(net_sales_amount) from kpi
            where level = 'hq'
        )
        - (
            select sum(receipts.net_sales_amount)
            from {{ ref('fct_receipt') }} as receipts
            {% if not is_full_build() -%}
            inner join {{ ref('int_audit__weeks') }} as weeks
                on
                    receipts.business_date >= weeks.week_start
                    and receipts.business_date < weeks.week_start + 7
            {%- endif %}
        )
)

select * from final
