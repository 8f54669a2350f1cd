-- Grain: one row per reconciliation: two ways to the same number, and how far they are apart.
-- Of the weeks, months, quarters and years that this build looked at.
{%- set additive = [
    'opening_members', 'new_members', 'valid_members', 'churn_base', 'purchasers_365', 'repeat_purchasers_365',
    'purchasing_members', 'active_members', 'engaged_members_30', 'contactable_members', 'filled_fields',
    'sale_receipts', 'sale_receipts_member', 'sale_receipts_multi_unit', 'sale_units', 'sale_net_amount',
    'sale_net_amount_member', 'net_sales_amount', 'net_sales_member_amount',
] %}

with kpi as (
    select * from {{ ref('kpi_weekly') }}
    where {{ in_scope('week_start', 'int_audit__weeks') }}
),

-- always the newest week, and the other periods of those looked at
periods as (
    select
        period_type,
        period_start,
        level,
        {{ additive | join(',\n        ') }}
    from kpi
    union all
    select
        period_type,
        period_start,
        level,
        {{ additive | join(',\n        ') }}
    from {{ ref('int_kpi__period_figures') }}
    where period_type <> 'week'
),

levels as (
    select
        period_type,
        period_start,
        level,
        {% for column in additive %}
            sum({{ column }}) as {{ column }}{% if not loop.last %},{% endif %}
        {% endfor %}
    from periods
    group by period_type, period_start, level
),

level_gaps as (
    select
        coalesce(max(
            {% for column in additive -%}
                {{ '+ ' if not loop.first }}abs(parts.{{ column }} - hq.{{ column }})
            {% endfor %}
        ), 0) as gap
    from levels as hq
    inner join levels as parts
        on hq.period_type = parts.period_type and hq.period_start = parts.period_start and parts.level <> 'hq'
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

decomposition_gaps as (
    select
        coalesce(max(abs(
            net_sales_amount - net_sales_amount_before - buyers_effect_amount - frequency_effect_amount
            - ticket_effect_amount - returns_effect_amount - non_member_effect_amount
        )), 0) as gap
    from {{ ref('sales_decomposition_weekly') }}
    where {{ in_scope('week_start', 'int_audit__weeks') }}
),

channels as (
    select
        week_start,
        level,
        level_id,
        sum(purchasing_members) as purchasing_members,
        sum(net_sales_member_amount) as net_sales_member_amount
    from {{ ref('channel_mix_weekly') }}
    where {{ in_scope('week_start', 'int_audit__weeks') }}
    group by week_start, level, level_id
),

channel_gaps as (
    select
        coalesce(max(
            abs(kpi.purchasing_members - coalesce(channels.purchasing_members, 0))
            + abs(kpi.net_sales_member_amount - coalesce(channels.net_sales_member_amount, 0))
        ), 0) as gap
    from kpi
    left join channels
        on
            kpi.week_start = channels.week_start
            and kpi.level = channels.level
            and kpi.level_id = channels.level_id
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
        'the parts of a change in net sales add up to it',
        (select gap from decomposition_gaps)
    union all
    select
        'members and their money by channel are those of the week',
        (select gap from channel_gaps)
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
