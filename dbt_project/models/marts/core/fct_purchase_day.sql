-- Grain: one row per member and business date with a qualifying receipt: the unit of frequency, repeat and stage.
{{ config(unique_key=['member_id', 'business_date']) }}

with receipts as (
    select * from {{ ref('fct_receipt') }}
),

final as (
    select
        member_id,
        business_date,
        count(*)::integer as receipts,
        sum(units)::numeric(14, 3) as units,
        sum(net_sales_amount)::numeric(14, 2) as net_amount
    from receipts
    where is_qualifying and member_id is not null
    group by member_id, business_date
)

select * from final
