-- Grain: one row per member with enough purchase days to have a preference: what it spends most on, lately more than
-- long ago, how often it comes, and whether it waits for offers.
{{ config(
    unique_key=['member_id'],
    scope={'columns': ['member_id'], 'relation': 'int_operations__touched_shoppers'},
    may_be_empty=true,
) }}

with days as (
    select
        member_id,
        business_date,
        business_date - lag(business_date) over (partition by member_id order by business_date) as gap
    from {{ ref('int_members__days') }}
    where receipts > 0 and {{ in_scope('member_id', 'int_operations__touched_shoppers') }}
),

buyers as (
    select
        member_id,
        count(*)::integer as purchase_days,
        max(business_date) as last_purchase_on,
        (percentile_cont(0.5) within group (order by gap))::numeric(8, 1) as cycle_days
    from days
    group by member_id
    having count(*) >= {{ tool_parameter('preference_purchase_days') }}
),

lines as (
    select
        lines.*,
        coalesce(products.category, 'unknown') as category
    from {{ ref('fct_receipt_line') }} as lines
    inner join buyers on lines.member_id = buyers.member_id
    left join {{ ref('dim_product') }} as products on lines.sku = products.sku
    where lines.is_merchandise and {{ in_scope('lines.member_id', 'int_operations__touched_shoppers') }}
),

-- an amount that is worth half as much a half-life later; only shares of it are looked at, so that it does not matter
-- from when it is counted, and time alone changes nothing
spent as (
    select
        member_id,
        category,
        sum(
            net_amount::double precision
            * power(
                2::double precision,
                (business_date - date '2020-01-01')::double precision
                / {{ tool_parameter('preference_half_life_days') }}::double precision
            )
        ) as weight
    from lines
    group by member_id, category
),

ranked as (
    select
        member_id,
        category,
        weight / sum(weight) over (partition by member_id) as share,
        row_number() over (partition by member_id order by weight desc, category asc) as place
    from spent
    where weight > 0
),

prices as (
    select
        member_id,
        sum(discount_amount) as discount_amount,
        sum(discount_amount + net_amount) as gross_amount
    from lines
    where units > 0
    group by member_id
),

sizes as (
    select
        lines.member_id,
        products.size,
        row_number() over (
            partition by lines.member_id
            order by sum(lines.units) desc, max(lines.business_date) desc, products.size asc
        ) as place
    from lines
    inner join ranked on lines.member_id = ranked.member_id and lines.category = ranked.category and ranked.place = 1
    inner join {{ ref('dim_product') }} as products on lines.sku = products.sku
    where products.size is not null
    group by lines.member_id, products.size
    having sum(lines.units) > 0
),

final as (
    select
        buyers.member_id,
        buyers.purchase_days,
        buyers.last_purchase_on,
        buyers.cycle_days,
        ranked.category as top_category,
        ranked.share::numeric(14, 6) as top_category_share,
        sizes.size as top_size,
        {{ rate('prices.discount_amount', 'prices.gross_amount') }} as discount_rate,
        coalesce(
            prices.discount_amount >= {{ tool_parameter('price_sensitive_from') }} * prices.gross_amount
            and prices.gross_amount > 0,
            false
        ) as is_price_sensitive
    from buyers
    inner join ranked on buyers.member_id = ranked.member_id and ranked.place = 1
    left join sizes on buyers.member_id = sizes.member_id and sizes.place = 1
    left join prices on buyers.member_id = prices.member_id
)

select * from final
