-- Grain: one row per week, level (store, region, hq), its id and set of columns of kpi_weekly to which a restated
-- receipt, member or covered day contributes otherwise than before, cause and batch. Sets, because thousands of batches
-- may stand behind dozens of columns alike.
with receipts as (
    select * from {{ ref('int_restatement__receipts') }}
),

changed_receipts as (
    select * from {{ ref('int_restatement__changed_receipts') }}
),

members as (
    select * from {{ ref('int_restatement__members') }}
),

-- a member counts for a column as it did before, and as it does now
counts as (
    select
        standings.week_start,
        standings.member_id,
        part.store_id,
        part.column_name
    from {{ ref('int_restatement__standings') }} as standings
    cross join
        lateral (
            values
            (
                standings.old_opening_store_id,
                standings.old_closing_store_id,
                standings.old_opening_stage_code,
                standings.old_closing_stage_code,
                standings.had_joined
            ),
            (
                standings.new_opening_store_id,
                standings.new_closing_store_id,
                standings.new_opening_stage_code,
                standings.new_closing_stage_code,
                standings.has_joined
            )
        ) as side (opening_store_id, closing_store_id, opening_stage_code, closing_stage_code, has_joined)
    cross join
        lateral (
            values
            ('opening_members', 'opening', side.opening_store_id, {{ is_valid_stage('side.opening_stage_code') }}),
            (
                'churn_base', 'opening', side.opening_store_id, {{ is_churn_base_stage('side.opening_stage_code') }}
            ),
            (
                'churned_lapse', 'either', side.opening_store_id, {{ is_churn_base_stage('side.opening_stage_code') }}
            ),
            (
                'churned_closed', 'either', side.opening_store_id, {{ is_churn_base_stage('side.opening_stage_code') }}
            ),
            ('closing_members', 'closing', side.closing_store_id, {{ is_valid_stage('side.closing_stage_code') }}),
            (
                'active_members', 'closing', side.closing_store_id, {{ is_active_stage('side.closing_stage_code') }}
            ),
            ('purchasers_365', 'year', side.closing_store_id, {{ is_valid_stage('side.closing_stage_code') }}),
            (
                'repeat_purchasers_365',
                'year',
                side.closing_store_id,
                {{ is_valid_stage('side.closing_stage_code') }}
            ),
            ('purchasing_members', 'week', side.closing_store_id, {{ is_valid_stage('side.closing_stage_code') }}),
            (
                'engaged_members_30',
                'either',
                side.closing_store_id,
                {{ is_valid_stage('side.closing_stage_code') }}
            ),
            ('contactable_members', 'either', side.closing_store_id, {{ is_valid_stage('side.closing_stage_code') }}),
            ('filled_fields', 'either', side.closing_store_id, {{ is_valid_stage('side.closing_stage_code') }}),
            ('churn_base_12m', 'either', side.opening_store_id, true),
            ('churned_12m', 'either', side.opening_store_id, true),
            ('new_members', 'joined', side.closing_store_id, side.has_joined),
            ('net_transfers', 'store', side.opening_store_id, side.opening_store_id <> side.closing_store_id),
            ('net_transfers', 'store', side.closing_store_id, side.opening_store_id <> side.closing_store_id)
        ) as part (column_name, depends_on, store_id, counts)
    where part.counts
    group by
        standings.week_start,
        standings.member_id,
        part.store_id,
        part.column_name,
        part.depends_on,
        standings.is_purchase_change,
        standings.is_purchase_change_of_365
    -- on both sides alike: no change, unless it is one of purchases
    having
        count(*) = 1
        or (part.depends_on = 'year' and standings.is_purchase_change_of_365)
        or (part.depends_on = 'week' and standings.is_purchase_change)
        or part.depends_on = 'either'
),

members_columns as (
    select
        week_start,
        member_id,
        store_id,
        array_agg(distinct column_name order by column_name) as column_names
    from counts
    group by week_start, member_id, store_id
),

sales as (
    select
        date_trunc('week', changed_receipts.business_date)::date as week_start,
        changed_receipts.store_id,
        array_agg(distinct part.column_name order by part.column_name) as column_names,
        receipts.cause,
        receipts.batch_id
    from receipts
    inner join changed_receipts on receipts.receipt_id = changed_receipts.receipt_id
    cross join
        lateral (
            values
            ('sale_receipts', changed_receipts.is_sales_change),
            ('sale_receipts_anonymous', changed_receipts.is_basket_change),
            ('sale_receipts_multi_unit', changed_receipts.is_basket_change),
            ('sale_units', changed_receipts.is_basket_change),
            ('sale_net_amount', changed_receipts.is_sales_change),
            ('sale_gross_amount', changed_receipts.is_basket_change),
            ('sale_discount_amount', changed_receipts.is_basket_change),
            ('net_sales_amount', changed_receipts.is_sales_change),
            ('sale_receipts_member', changed_receipts.is_member_sales_change),
            ('sale_net_amount_member', changed_receipts.is_member_sales_change),
            ('net_sales_member_amount', changed_receipts.is_member_sales_change)
        ) as part (column_name, counts)
    where part.counts and receipts.cause <> 'return'
    group by
        date_trunc('week', changed_receipts.business_date),
        changed_receipts.store_id,
        receipts.cause,
        receipts.batch_id
),

-- a day without a batch makes its week incomplete
coverage as (
    select
        date_trunc('week', batches.business_date)::date as week_start,
        stores.store_id,
        array['is_complete'] as column_names,
        batches.cause,
        batches.cause_batch_id as batch_id
    from {{ ref('int_restatement__batches') }} as batches
    inner join {{ ref('dim_store') }} as stores on batches.store_id in ('all', stores.store_id)
    where batches.source = 'pos' and batches.feed in ('receipts', 'receipt_lines')
),

parts as (
    select distinct
        members_columns.week_start,
        members_columns.store_id,
        members_columns.column_names,
        members.cause,
        members.batch_id
    from members_columns
    inner join members on members_columns.member_id = members.member_id
    union all
    select * from sales
    union all
    select * from coverage
    union all
    select
        week_start,
        store_id,
        array[column_name] as column_names,
        cause,
        batch_id
    from {{ ref('int_restatement__spans') }}
),

sets as (
    select distinct column_names from parts
),

-- what is computed of other columns of its row
columns_of_parts as (
    select
        part,
        column_name
    from (
        values
        ('new_members', array['growth_rate']),
        ('opening_members', array['growth_rate', 'net_growth_rate']),
        ('net_transfers', array['net_growth_rate']),
        (
            'closing_members',
            array[
                'valid_members', 'net_growth_rate', 'activity_rate', 'engagement_rate', 'consent_reach',
                'info_completeness'
            ]
        ),
        ('active_members', array['activity_rate']),
        ('engaged_members_30', array['engagement_rate']),
        ('contactable_members', array['consent_reach']),
        ('filled_fields', array['info_completeness']),
        ('churn_base', array['churn_rate']),
        ('churned_lapse', array['churn_rate']),
        ('churned_closed', array['churn_rate']),
        ('churn_base_12m', array['churn_rate_12m']),
        ('churned_12m', array['churn_rate_12m']),
        ('purchasers_365', array['repurchase_rate']),
        ('repeat_purchasers_365', array['repurchase_rate']),
        ('purchasing_members', array['spend_per_member_amount']),
        (
            'sale_receipts',
            array[
                'average_ticket_amount', 'member_receipt_share', 'anonymous_rate', 'units_per_receipt', 'attach_rate'
            ]
        ),
        ('sale_receipts_member', array['average_ticket_member_amount', 'member_receipt_share']),
        ('sale_receipts_anonymous', array['anonymous_rate']),
        ('sale_receipts_multi_unit', array['attach_rate']),
        ('sale_units', array['units_per_receipt']),
        ('sale_net_amount', array['average_ticket_amount']),
        ('sale_net_amount_member', array['average_ticket_member_amount']),
        ('sale_gross_amount', array['discount_rate']),
        ('sale_discount_amount', array['discount_rate']),
        ('net_sales_amount', array['member_sales_share']),
        ('net_sales_member_amount', array['member_sales_share', 'spend_per_member_amount']),
        ('is_complete', array[]::text[])
    ) as computed (part, column_names)
    cross join lateral unnest(array_append(computed.column_names, computed.part)) as column_name
),

told_sets as (
    select
        sets.column_names,
        array_agg(distinct columns_of_parts.column_name order by columns_of_parts.column_name) as told_names
    from sets
    cross join lateral unnest(sets.column_names) as part (column_name)
    inner join columns_of_parts on part.column_name = columns_of_parts.part
    group by sets.column_names
),

final as (
    select distinct
        parts.week_start,
        place.level,
        place.level_id,
        told_sets.told_names as column_names,
        parts.cause,
        parts.batch_id
    from parts
    inner join told_sets on parts.column_names = told_sets.column_names
    inner join {{ ref('dim_store') }} as stores on parts.store_id = stores.store_id
    cross join
        lateral (
            values
            ('store', stores.store_id),
            ('region', stores.region),
            ('hq', 'hq')
        ) as place (level, level_id)
)

select * from final
