-- Grain: one row per calendar month and reason that members gave for staying away; unknown is kept.
{{ config(unique_key=['month_start', 'reason_code'], fed_by=['app__feedback'], may_be_empty=true) }}

with final as (
    select
        date_trunc('month', business_date)::date as month_start,
        coalesce(reason_code, 'unknown') as reason_code,
        count(*)::integer as tickets,
        count(distinct member_id)::integer as members
    from {{ ref('fct_feedback') }}
    where kind = 'lapse_reason'
    group by date_trunc('month', business_date), coalesce(reason_code, 'unknown')
)

select * from final
