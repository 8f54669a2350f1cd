-- Grain: one row per member and category to offer by the as-of date, the best first, with the product to show and why.
-- A view: what is due by mere passage of time is not written.
{{ config(materialized='published_view', unique_key=['member_id', 'category']) }}

with reporting as (
    select * from {{ ref('reporting_period') }}
),

preferences as (
    select * from {{ ref('member_preference') }}
),

picks as (
    select * from {{ ref('int_operations__picks') }}
),

offers as (
    select
        offers.*,
        preferences.top_category,
        coalesce(offers.size, preferences.top_size, '') as wanted_size
    from {{ ref('int_operations__offers') }} as offers
    cross join reporting
    left join preferences on offers.member_id = preferences.member_id
    where offers.offer_from <= reporting.as_of_date
),

final as (
    select
        offers.member_id,
        (row_number() over (
            partition by offers.member_id
            order by
                case offers.reason when 'used up' then 1 else 2 end asc,
                offers.lift desc nulls last,
                offers.offer_from asc,
                offers.category asc
        ))::integer as place,
        offers.category,
        coalesce(of_size.sku, of_any.sku) as sku,
        offers.reason,
        offers.because_of,
        offers.offer_from,
        offers.lift,
        coalesce(of_size.is_focus, of_any.is_focus, false) as is_focus,
        coalesce(offers.category = offers.top_category, false) as is_favourite
    from offers
    left join picks as of_size on offers.category = of_size.category and offers.wanted_size = of_size.size
    left join picks as of_any on offers.category = of_any.category and of_any.size = ''
)

select * from final
