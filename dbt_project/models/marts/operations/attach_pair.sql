-- Grain: one row per season, level (region, hq), its id and ordered pair of categories that were bought together, each
-- on enough receipts to be told of.
{{ config(
    unique_key=['season_start', 'level', 'level_id', 'category', 'with_category'],
    scope={'columns': ['season_start'], 'relation': 'int_operations__touched_seasons'},
    may_be_empty=true,
) }}
-- depends_on: {{ ref('int_operations__touched_seasons') }}

with receipts as (
    select
        receipts.receipt_id,
        {{ season_start('receipts.business_date') }} as season_start,
        stores.region
    from {{ ref('fct_receipt') }} as receipts
    inner join {{ ref('dim_store') }} as stores on receipts.store_id = stores.store_id
    where
        receipts.qualifies_at_sale
        {%- if not is_full_build() %}
            and receipts.business_date >= (select min(season_start) from {{ ref('int_operations__touched_seasons') }})
        {%- endif %}
        and {{ in_scope(season_start('receipts.business_date'), 'int_operations__touched_seasons', ['season_start']) }}
),

sold as (
    select distinct
        receipts.receipt_id,
        receipts.season_start,
        receipts.region,
        products.category
    from receipts
    inner join {{ ref('fct_receipt_line') }} as lines on receipts.receipt_id = lines.receipt_id
    inner join {{ ref('dim_product') }} as products on lines.sku = products.sku
    where lines.is_merchandise and lines.units > 0 and products.category is not null
),

-- Counted by windows, here and below: of what was grouped the planner can't tell how much it is, and joined it with
-- itself row by row.
counted_sold as (
    select
        sold.*,
        count(*) over (partition by season_start, category) as receipts_of_season
    from sold
),

-- what is rare in the whole chain is rare in each region
baskets as (
    select
        season_start,
        region,
        array_agg(category) as categories
    from counted_sold
    where receipts_of_season >= {{ tool_parameter('pair_receipts') }}
    group by receipt_id, season_start, region
),

-- a category with itself: receipts with it
bought_together as (
    select
        baskets.season_start,
        baskets.region,
        one.category,
        other.category as with_category,
        count(*) as receipts
    from baskets
    cross join lateral unnest(baskets.categories) as one (category)
    cross join lateral unnest(baskets.categories) as other (category)
    group by baskets.season_start, baskets.region, one.category, other.category
),

counted as (
    select
        pairs.season_start,
        place.level,
        place.level_id,
        pairs.category,
        pairs.with_category,
        sum(pairs.receipts) as receipts
    from bought_together as pairs
    cross join lateral (values ('region', pairs.region), ('hq', 'hq')) as place (level, level_id)
    group by pairs.season_start, place.level, place.level_id, pairs.category, pairs.with_category
),

with_alone as (
    select
        season_start,
        level,
        level_id,
        category,
        with_category,
        receipts,
        max(receipts) filter (where category = with_category) over (
            partition by season_start, level, level_id, category
        ) as receipts_with_category,
        max(receipts) filter (where category = with_category) over (
            partition by season_start, level, level_id, with_category
        ) as receipts_with_other
    from counted
),

everything as (
    select
        receipts.season_start,
        place.level,
        place.level_id,
        count(*) as receipts
    from receipts
    cross join lateral (values ('region', receipts.region), ('hq', 'hq')) as place (level, level_id)
    group by receipts.season_start, place.level, place.level_id
),

pairs as (
    select
        pair.season_start,
        pair.level,
        pair.level_id,
        pair.category,
        pair.with_category,
        everything.receipts::integer as receipts,
        pair.receipts_with_category::integer as receipts_with_category,
        pair.receipts_with_other::integer as receipts_with_other,
        pair.receipts::integer as receipts_with_both
    from with_alone as pair
    inner join everything
        on
            pair.season_start = everything.season_start
            and pair.level = everything.level
            and pair.level_id = everything.level_id
    where
        pair.category <> pair.with_category
        and pair.receipts_with_category >= {{ tool_parameter('pair_receipts') }}
        and pair.receipts_with_other >= {{ tool_parameter('pair_receipts') }}
),

final as (
    select
        season_start,
        case extract(month from season_start)
            when 3 then 'spring'
            when 6 then 'summer'
            when 9 then 'autumn'
            else 'winter'
        end as season,
        level,
        level_id,
        category,
        with_category,
        receipts,
        receipts_with_category,
        receipts_with_other,
        receipts_with_both,
        {{ rate('receipts_with_both', 'receipts') }} as support,
        {{ rate('receipts_with_both', 'receipts_with_category') }} as confidence,
        {{ rate('receipts_with_both::numeric * receipts', 'receipts_with_category * receipts_with_other') }} as lift
    from pairs
)

select * from final
