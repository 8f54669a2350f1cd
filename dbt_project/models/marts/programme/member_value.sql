-- Grain: one row per valid member with a purchase day.
-- Whole in each build, because a rank is everybody's: it reads a row a member, and writes those that changed. Members
-- who are alike in all that they are ranked by share a decile: no id decides.
{{ config(unique_key=['member_id'], fed_by=['pos__receipts']) }}

with building as (
    select value_model_version from {{ source('release', 'building') }}
),

members as (
    select * from {{ ref('dim_member') }}
    where is_valid and purchase_days > 0
),

spend as (
    select * from {{ ref('int_value__spend') }}
),

scores as (
    select scores.*
    from {{ source('scoring', 'member_score') }} as scores
    inner join building on scores.model_version = building.value_model_version
),

spent as (
    select
        members.*,
        coalesce(spend.net_amount_365, 0)::numeric(14, 2) as net_amount_365
    from members
    left join spend on members.member_id = spend.member_id
),

ranked as (
    select
        member_id,
        net_amount_365,
        rank() over (
            order by
                net_amount_365 desc,
                last_purchase_on desc,
                purchase_days desc,
                net_sales_amount desc,
                first_purchase_on desc
        ) as place,
        count(*) over () as members
    from spent
),

final as (
    select
        ranked.member_id,
        ranked.net_amount_365,
        -- ntile(10), but for equals
        (1 + floor((ranked.place - 1) * 10.0 / ranked.members))::integer as decile,
        scores.p_alive,
        scores.expected_purchases_12m,
        scores.expected_value_12m,
        scores.model_version
    from ranked
    left join scores on ranked.member_id = scores.member_id
)

select * from final
