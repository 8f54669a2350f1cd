-- Grain: one row per calendar quarter in which members were asked how likely they are to recommend.
{{ config(unique_key=['quarter_start'], fed_by=['app__feedback'], may_be_empty=true) }}

with answers as (
    select distinct on (member_id, date_trunc('quarter', business_date))
        date_trunc('quarter', business_date)::date as quarter_start,
        score
    from {{ ref('fct_feedback') }}
    where kind = 'nps' and score is not null and member_id is not null
    order by member_id asc, date_trunc('quarter', business_date) asc, opened_at desc, ticket_id desc
),

final as (
    select
        quarter_start,
        count(*)::integer as answers,
        (count(*) filter (where score >= 9))::integer as promoters,
        (count(*) filter (where score <= 6))::integer as detractors,
        -- of fewer answers it says nothing
        case
            when count(*) >= 30
                then {{ rate('count(*) filter (where score >= 9) - count(*) filter (where score <= 6)', 'count(*)') }}
        end as nps
    from answers
    group by quarter_start
)

select * from final
