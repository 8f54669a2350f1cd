-- Grain: one row per member and business date with receipts: what was bought, how long it counted, and all money.
-- A purchase day counted from business_date until the day before counted_until, when the last of its receipts stopped
-- qualifying (9999-12-31: it still counts; null: it never was one).
{{ config(
    unique_key=['member_id', 'business_date'],
    scope={'columns': ['member_id', 'business_date'], 'relation': 'int_members__touched_days'},
    lookups=[['business_date']],
) }}

with receipts as (
    select * from {{ ref('fct_receipt') }}
    where
        member_id is not null
        and {{ in_scope(['member_id', 'business_date'], 'int_members__touched_days') }}
),

days as (
    select
        member_id,
        business_date,
        count(*) filter (where is_qualifying)::integer as receipts,
        coalesce(sum(units) filter (where is_qualifying), 0)::numeric(14, 3) as units,
        coalesce(sum(net_sales_amount) filter (where is_qualifying), 0)::numeric(14, 2) as net_amount,
        (array_agg(store_id order by sold_at, receipt_id) filter (where is_qualifying))[1] as first_store_id,
        max(coalesce(unqualified_on, date '9999-12-31')) filter (where qualifies_at_sale) as counted_until,
        -- never staff or wholesale
        coalesce(sum(net_sales_amount) filter (where not is_staff_sale and not is_wholesale), 0)::numeric(14, 2)
            as net_sales_amount
    from receipts
    group by member_id, business_date
),

spent as (
    select
        receipts.member_id,
        receipts.business_date,
        products.category,
        sum(lines.net_amount) as net_amount
    from receipts
    inner join {{ ref('fct_receipt_line') }} as lines on receipts.receipt_id = lines.receipt_id
    inner join {{ ref('dim_product') }} as products on lines.sku = products.sku
    where receipts.qualifies_at_sale and lines.is_merchandise and products.category is not null
    group by receipts.member_id, receipts.business_date, products.category
),

top_categories as (
    select distinct on (member_id, business_date)
        member_id,
        business_date,
        category
    from spent
    order by member_id asc, business_date asc, net_amount desc, category asc
),

final as (
    select
        days.member_id,
        days.business_date,
        days.receipts,
        days.units,
        days.net_amount,
        days.first_store_id,
        case when days.counted_until > days.business_date then days.counted_until end as counted_until,
        days.net_sales_amount,
        top_categories.category as top_category
    from days
    left join top_categories
        on days.member_id = top_categories.member_id and days.business_date = top_categories.business_date
)

select * from final
