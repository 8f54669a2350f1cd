-- Grain: one row per week that is over, store and indicator of the compass: its value in the week and in the quarter
-- that ends with it, the quarter's standard error, and what a step of 1 would bring in a week (a member who is won or
-- kept is counted for a year).
{%- set sums = [
    'visitors', 'sale_receipts', 'sale_receipts_multi_unit', 'sale_receipts_of_others', 'sale_receipts_member',
    'sale_units', 'sale_net_amount', 'sale_net_amount_member', 'sale_gross_amount', 'sale_discount_amount',
    'net_sales_amount', 'net_sales_member_amount', 'new_members', 'enrolled', 'valid_members', 'filled_fields',
    'active_members', 'purchasers_365', 'repeat_purchasers_365', 'churn_base', 'churned', 'first_buyers',
    'second_buyers', 'contacts_sent', 'arrived',
] %}
{#- what is divided by what, and what a step of 1 of it would bring in a week -#}
{%- set figures = [
    ('visitors', 'visitors', 'weeks', 'sale_net_amount / nullif(visitors, 0)'),
    (
        'conversion_rate',
        'case when visitors is not null then sale_receipts end',
        'visitors',
        'visitors / weeks * sale_net_amount / nullif(sale_receipts, 0)',
    ),
    ('average_ticket_amount', 'sale_net_amount', 'sale_receipts', 'sale_receipts / weeks'),
    (
        'units_per_receipt',
        'sale_units',
        'sale_receipts',
        'sale_receipts / weeks * sale_net_amount / nullif(sale_units, 0)',
    ),
    ('unit_price_amount', 'sale_net_amount', 'sale_units', 'sale_units / weeks'),
    ('discount_rate', 'sale_discount_amount', 'sale_gross_amount', '-sale_gross_amount / weeks'),
    (
        'attach_rate',
        'sale_receipts_multi_unit',
        'sale_receipts',
        'sale_receipts / weeks * sale_net_amount / nullif(sale_units, 0)'
        ' * (sale_units - sale_receipts) / nullif(sale_receipts_multi_unit, 0)',
    ),
    ('new_members', 'new_members', 'weeks', 'member_value'),
    ('enrol_rate', 'enrolled', 'sale_receipts_of_others', 'sale_receipts_of_others / weeks * member_value'),
    (
        'info_completeness',
        'filled_fields',
        'valid_members * ' ~ required_profile_fields() | length,
        'null::numeric',
    ),
    ('member_sales_share', 'net_sales_member_amount', 'net_sales_amount', 'net_sales_amount / weeks'),
    (
        'activity_rate',
        'active_members',
        'valid_members',
        'valid_members / weeks * net_sales_member_amount / nullif(active_members, 0)',
    ),
    ('repurchase_rate', 'repeat_purchasers_365', 'purchasers_365', 'net_sales_member_amount / weeks'),
    ('second_purchase_rate', 'second_buyers', 'first_buyers', 'first_buyers / weeks * member_value'),
    ('churn_rate', 'churned', 'churn_base', '-churn_base / weeks * member_value'),
    (
        'invite_return_rate',
        'arrived',
        'contacts_sent',
        'contacts_sent / weeks * sale_net_amount_member / nullif(sale_receipts_member, 0)',
    ),
] %}

with store_weeks as (
    select * from {{ ref('int_operations__store_weeks') }}
),

spans as (
    select
        week_start,
        store_id,
        false as is_quarter,
        1 as weeks,
        {{ sums | join(',\n        ') }}
    from store_weeks
    union all
    select
        week_start,
        store_id,
        true as is_quarter,
        count(*) over a_quarter as weeks,
        {% for column in sums %}
            sum({{ column }}) over a_quarter as {{ column }}{% if not loop.last %},{% endif %}
        {% endfor %}
    from store_weeks
    window
        a_quarter as (
            partition by store_id order by week_start
            range between interval '84 days' preceding and current row
        )
),

worth as (
    select
        spans.*,
        net_sales_member_amount / nullif(purchasers_365, 0)
        * {{ tool_parameter('value_weeks') }} as member_value
    from spans
),

told as (
    {% for indicator, numerator, denominator, step_amount in figures %}
        select
            week_start,
            store_id,
            is_quarter,
            '{{ indicator }}' as indicator,
            {{ numerator }} / nullif({{ denominator }}, 0) as indicator_value,
            {{ step_amount }} as step_amount
        from worth
        {% if not loop.last %}union all{% endif %}
    {% endfor %}
),

-- how far a store's quarter may be from what it always does: by how much its weeks differ
errors as (
    select
        week_start,
        store_id,
        indicator,
        stddev_samp(indicator_value) over a_quarter / sqrt(count(indicator_value) over a_quarter) as quarter_error
    from told
    where not is_quarter and indicator_value is not null
    window
        a_quarter as (
            partition by store_id, indicator order by week_start
            range between interval '84 days' preceding and current row
        )
),

values_of as (
    select
        week_start,
        store_id,
        indicator,
        max(indicator_value) filter (where not is_quarter) as week_value,
        max(indicator_value) filter (where is_quarter) as quarter_value,
        max(step_amount) filter (where is_quarter) as step_amount
    from told
    group by week_start, store_id, indicator
),

final as (
    select
        values_of.week_start,
        values_of.store_id,
        values_of.indicator,
        values_of.week_value,
        values_of.quarter_value,
        errors.quarter_error::numeric(14, 6) as quarter_error,
        values_of.step_amount
    from values_of
    left join errors
        on
            values_of.week_start = errors.week_start
            and values_of.store_id = errors.store_id
            and values_of.indicator = errors.indicator
)

select * from final
