-- Grain: one row per member and category to offer: one that goes with what it has and that it has not (goes with), or
-- one that it has and has used up by then (used up). Never one that it has and has not used up.
{{ config(
    unique_key=['member_id', 'category'],
    scope={'columns': ['member_id'], 'relation': 'int_operations__touched_offers'},
    may_be_empty=true,
) }}

with wardrobe as (
    select
        member_id,
        category,
        max(last_bought_on) as last_bought_on,
        (array_agg(size order by units_kept desc, last_bought_on desc, size asc))[1] as size
    from {{ ref('member_wardrobe') }}
    where category <> 'unknown' and {{ in_scope('member_id', 'int_operations__touched_offers') }}
    group by member_id, category
),

days as (
    select distinct
        lines.member_id,
        products.category,
        lines.business_date
    from {{ ref('fct_receipt_line') }} as lines
    inner join {{ ref('dim_product') }} as products on lines.sku = products.sku
    where
        lines.member_id is not null
        and lines.is_merchandise
        and lines.units > 0
        and {{ in_scope('lines.member_id', 'int_operations__touched_offers') }}
),

gaps as (
    select
        member_id,
        category,
        business_date - lag(business_date) over (partition by member_id, category order by business_date) as gap
    from days
),

-- a member's own pace of a category, once it shows; else what is said of the category
cycles as (
    select
        gaps.member_id,
        gaps.category,
        case
            when count(*) >= {{ tool_parameter('preference_purchase_days') }}
                then ceil(percentile_cont(0.5) within group (order by gaps.gap))::integer
            else max(said.cycle_days)::integer
        end as cycle_days
    from gaps
    left join {{ ref('category_cycles') }} as said on gaps.category = said.category
    group by gaps.member_id, gaps.category
),

goes_with as (
    select
        wardrobe.member_id,
        partners.with_category as category,
        wardrobe.category as because_of,
        wardrobe.last_bought_on as offer_from,
        partners.lift,
        row_number() over (
            partition by wardrobe.member_id, partners.with_category
            order by partners.lift desc, wardrobe.category asc
        ) as precedence
    from wardrobe
    inner join {{ ref('int_operations__partners') }} as partners on wardrobe.category = partners.category
    left join wardrobe as owned
        on wardrobe.member_id = owned.member_id and partners.with_category = owned.category
    where owned.member_id is null
),

final as (
    select
        member_id,
        category,
        'goes with' as reason,
        because_of,
        null::text as size,
        offer_from,
        lift
    from goes_with
    where precedence = 1
    union all
    select
        wardrobe.member_id,
        wardrobe.category,
        'used up' as reason,
        wardrobe.category as because_of,
        nullif(wardrobe.size, 'unknown') as size,
        wardrobe.last_bought_on + cycles.cycle_days as offer_from,
        null::numeric as lift
    from wardrobe
    inner join cycles on wardrobe.member_id = cycles.member_id and wardrobe.category = cycles.category
    where cycles.cycle_days is not null
)

select * from final
