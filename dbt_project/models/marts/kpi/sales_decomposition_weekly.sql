-- Grain: one row per week, level (store, region, hq), its id and the earlier week that it is compared with. Store by
-- store, a day is compared with the same weekday when the files of both are there; the rest is left out of both weeks.
{{ config(
    unique_key=['week_start', 'level', 'level_id', 'compared_with'],
    scope={'columns': ['week_start', 'compared_with'], 'relation': 'int_kpi__touched_comparisons'},
    may_be_empty=true,
) }}
-- depends_on: {{ ref('int_kpi__touched_comparisons') }}
{%- set key = ['week_start', 'compared_with'] %}
{%- set sums = ['sale_receipts_member', 'sale_net_amount_member', 'net_sales_member_amount', 'net_sales_amount'] %}

with comparisons as (
    select * from {{ ref('int_kpi__comparisons') }}
    where {{ in_scope(key, 'int_kpi__touched_comparisons') }}
),

reporting as (
    select observed_from from {{ ref('reporting_period') }}
),

uncovered as (
    select
        store_id,
        calendar_date
    from {{ ref('int_kpi__day_coverage') }}
    where not is_covered
),

store_days as (
    select
        comparisons.week_start,
        comparisons.compared_with,
        comparisons.compared_week_start,
        stores.store_id,
        stores.region,
        day::date as day,
        day::date - comparisons.days_apart as earlier_day,
        day::date - comparisons.days_apart >= reporting.observed_from
        and now_uncovered.store_id is null
        and then_uncovered.store_id is null as is_compared
    from comparisons
    cross join reporting
    cross join {{ ref('dim_store') }} as stores
    cross join
        lateral generate_series(
            comparisons.week_start::timestamp, comparisons.closing_on::timestamp, interval '1 day'
        ) as day
    left join uncovered as now_uncovered
        on stores.store_id = now_uncovered.store_id and day::date = now_uncovered.calendar_date
    left join uncovered as then_uncovered
        on
            stores.store_id = then_uncovered.store_id
            and day::date - comparisons.days_apart = then_uncovered.calendar_date
),

days as (
    select
        week_start,
        compared_with,
        store_id,
        region,
        day as business_date,
        true as is_now
    from store_days
    where is_compared
    union all
    select
        week_start,
        compared_with,
        store_id,
        region,
        earlier_day as business_date,
        false as is_now
    from store_days
    where is_compared
),

buyers as (
    select distinct
        days.week_start,
        days.compared_with,
        days.is_now,
        days.store_id,
        days.region,
        receipts.member_id
    from days
    inner join {{ ref('fct_receipt') }} as receipts
        on days.store_id = receipts.store_id and days.business_date = receipts.business_date
    where receipts.qualifies_at_sale and receipts.is_member_receipt
),

-- the same person in two stores is one buyer of the region
buyers_by_level as (
    select
        {{ key | join(', ') }},
        {{ level() }} as level,
        {{ level_id() }} as level_id,
        count(distinct member_id) filter (where is_now) as buyers,
        count(distinct member_id) filter (where not is_now) as buyers_before
    from buyers
    group by {{ by_level(key) }}
),

sums_by_store as (
    select
        days.week_start,
        days.compared_with,
        days.store_id,
        {% for column in sums %}
            sum(sales.{{ column }}) filter (where days.is_now) as {{ column }},
            sum(sales.{{ column }}) filter (where not days.is_now) as {{ column }}_before
            {%- if not loop.last %},{% endif %}
        {% endfor %}
    from days
    inner join {{ ref('int_receipts__store_days') }} as sales
        on days.store_id = sales.store_id and days.business_date = sales.business_date
    group by days.week_start, days.compared_with, days.store_id
),

by_store as (
    select
        week_start,
        compared_with,
        compared_week_start,
        store_id,
        region,
        count(*) filter (where is_compared) as store_days_compared,
        count(*) filter (where not is_compared) as store_days_left_out
    from store_days
    group by week_start, compared_with, compared_week_start, store_id, region
),

joined as (
    select
        by_store.*,
        {% for column in sums %}
            sums_by_store.{{ column }},
            sums_by_store.{{ column }}_before{% if not loop.last %},{% endif %}
        {% endfor %}
    from by_store
    left join sums_by_store
        on
            by_store.week_start = sums_by_store.week_start
            and by_store.compared_with = sums_by_store.compared_with
            and by_store.store_id = sums_by_store.store_id
),

sums_by_level as (
    select
        {{ key | join(', ') }},
        {{ level() }} as level,
        {{ level_id() }} as level_id,
        min(compared_week_start) as compared_week_start,
        sum(store_days_compared) as store_days_compared,
        sum(store_days_left_out) as store_days_left_out,
        {% for column in sums %}
            coalesce(sum({{ column }}), 0) as {{ column }},
            coalesce(sum({{ column }}_before), 0) as {{ column }}_before{% if not loop.last %},{% endif %}
        {% endfor %}
    from joined
    group by {{ by_level(key) }}
),

figures as (
    select
        sums_by_level.*,
        coalesce(buyers_by_level.buyers, 0) as buyers,
        coalesce(buyers_by_level.buyers_before, 0) as buyers_before,
        sums_by_level.sale_net_amount_member - sums_by_level.sale_net_amount_member_before as change
    from sums_by_level
    left join buyers_by_level
        on
            sums_by_level.week_start = buyers_by_level.week_start
            and sums_by_level.compared_with = buyers_by_level.compared_with
            and sums_by_level.level = buyers_by_level.level
            and sums_by_level.level_id = buyers_by_level.level_id
    where sums_by_level.store_days_compared > 0
),

-- buyers x frequency x ticket: each factor's part is its log change, weighted by the logarithmic mean of the two weeks
weighted as (
    select
        figures.*,
        case
            when buyers = 0 or buyers_before = 0 or sale_net_amount_member = 0 or sale_net_amount_member_before = 0
                then null
            when change = 0 then sale_net_amount_member
            else change / ln(sale_net_amount_member / sale_net_amount_member_before)
        end as log_mean
    from figures
),

parts as (
    select
        weighted.*,
        case
            -- with nobody to compare with, the change is one of buyers
            when buyers = 0 or buyers_before = 0 then change
            when log_mean is null then 0
            -- an exact half cent must not hang on a logarithm's last digit
            else round(log_mean * ln(buyers::numeric / buyers_before), 8)
        end::numeric(14, 2) as buyers_effect_amount,
        case
            when log_mean is null then 0
            else
                round(
                    log_mean * ln(
                        (sale_receipts_member::numeric * buyers_before)
                        / (sale_receipts_member_before::numeric * buyers)
                    ),
                    8
                )
        end::numeric(14, 2) as frequency_effect_amount
    from weighted
),

final as (
    select
        week_start,
        level,
        level_id,
        compared_with,
        compared_week_start,
        store_days_compared::integer as store_days_compared,
        store_days_left_out::integer as store_days_left_out,
        buyers::integer as buyers,
        buyers_before::integer as buyers_before,
        sale_receipts_member::integer as sale_receipts_member,
        sale_receipts_member_before::integer as sale_receipts_member_before,
        sale_net_amount_member::numeric(14, 2) as sale_net_amount_member,
        sale_net_amount_member_before::numeric(14, 2) as sale_net_amount_member_before,
        net_sales_amount::numeric(14, 2) as net_sales_amount,
        net_sales_amount_before::numeric(14, 2) as net_sales_amount_before,
        (net_sales_amount - net_sales_amount_before)::numeric(14, 2) as net_sales_change_amount,
        buyers_effect_amount,
        frequency_effect_amount,
        (change - buyers_effect_amount - frequency_effect_amount)::numeric(14, 2) as ticket_effect_amount,
        (
            (net_sales_member_amount - sale_net_amount_member)
            - (net_sales_member_amount_before - sale_net_amount_member_before)
        )::numeric(14, 2) as returns_effect_amount,
        (
            (net_sales_amount - net_sales_member_amount)
            - (net_sales_amount_before - net_sales_member_amount_before)
        )::numeric(14, 2) as non_member_effect_amount
    from parts
)

select * from final
