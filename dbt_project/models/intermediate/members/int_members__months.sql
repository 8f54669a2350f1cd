-- Grain: one row per member and calendar month with receipts: the purchase days that still count, and all money.
{{ config(
    unique_key=['member_id', 'month_start'],
    scope={'columns': ['member_id', 'month_start'], 'relation': 'int_members__touched_months'},
    lookups=[['month_start']],
) }}

with days as (
    select
        days.*,
        date_trunc('month', days.business_date)::date as month_start
    from {{ ref('int_members__days') }} as days
    {%- if not is_full_build() %}
    inner join {{ ref('int_members__touched_months') }} as touched
        on
            days.member_id = touched.member_id
            and touched.month_start <= days.business_date
            and days.business_date < (touched.month_start + interval '1 month')::date
    {%- endif %}
),

final as (
    select
        member_id,
        month_start,
        (count(*) filter (where receipts > 0))::integer as purchase_days,
        sum(net_sales_amount)::numeric(14, 2) as net_sales_amount
    from days
    group by member_id, month_start
)

select * from final
