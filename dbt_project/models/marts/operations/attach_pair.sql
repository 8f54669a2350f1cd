-- Grain: one row per season, level (region, hq), its id and ordered pair of categories that were bought together.
-- Seasons begin with March, June, September and December.
{{ config(unique_key=['season_start', 'level', 'level_id', 'category', 'with_category'], may_be_empty=true) }}

with days as (
    select
        (date_trunc('quarter', business_date - interval '2 months') + interval '2 months')::date as season_start,
        region,
        category,
        with_category,
        receipts
    from {{ ref('int_operations__basket_days') }}
),

counted as (
    select
        days.season_start,
        place.level,
        place.level_id,
        days.category,
        days.with_category,
        sum(days.receipts) as receipts
    from days
    cross join lateral (values ('region', days.region), ('hq', 'hq')) as place (level, level_id)
    group by days.season_start, place.level, place.level_id, days.category, days.with_category
),

pairs as (
    select
        pair.season_start,
        pair.level,
        pair.level_id,
        pair.category,
        pair.with_category,
        pair.receipts as receipts_with_both,
        one.receipts as receipts_with_category,
        other.receipts as receipts_with_other,
        everything.receipts,
        least(one.receipts, other.receipts) >= {{ tool_parameter('pair_receipts') }} as is_enough
    from counted as pair
    inner join counted as one
        on
            pair.season_start = one.season_start
            and pair.level = one.level
            and pair.level_id = one.level_id
            and pair.category = one.category
            and one.category = one.with_category
    inner join counted as other
        on
            pair.season_start = other.season_start
            and pair.level = other.level
            and pair.level_id = other.level_id
            and pair.with_category = other.category
            and other.category = other.with_category
    inner join counted as everything
        on
            pair.season_start = everything.season_start
            and pair.level = everything.level
            and pair.level_id = everything.level_id
            and everything.category = ''
    where pair.category <> pair.with_category
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
        receipts::integer as receipts,
        receipts_with_category::integer as receipts_with_category,
        receipts_with_other::integer as receipts_with_other,
        receipts_with_both::integer as receipts_with_both,
        {{ rate('receipts_with_both', 'receipts') }} as support,
        case when is_enough then {{ rate('receipts_with_both', 'receipts_with_category') }} end as confidence,
        case
            when is_enough
                then
                    {{ rate('receipts_with_both::numeric * receipts', 'receipts_with_category * receipts_with_other') }}
        end as lift
    from pairs
)

select * from final
