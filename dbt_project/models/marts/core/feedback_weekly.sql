-- Grain: one row per week and kind of ticket that members opened.
{{ config(unique_key=['week_start', 'kind'], fed_by=['app__feedback']) }}

with final as (
    select
        date_trunc('week', business_date)::date as week_start,
        kind,
        count(*)::integer as opened,
        (count(*) filter (where close_hours <= 72))::integer as closed_72h,
        {{ rate('count(*) filter (where close_hours <= 72)', 'count(*)') }} as closure_rate,
        (percentile_cont(0.5) within group (order by first_response_hours))::numeric(14, 2)
            as median_first_response_hours,
        (percentile_cont(0.5) within group (order by close_hours))::numeric(14, 2) as median_close_hours
    from {{ ref('fct_feedback') }}
    group by date_trunc('week', business_date), kind
)

select * from final
