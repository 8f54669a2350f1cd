-- Grain: one row per tier and benefit, as of the newest list that has it.
with benefits as (
    {{ active_rows('reference', 'benefits') }}
),

newest as (
    select
        benefits.*,
        row_number() over (
            partition by tier, benefit order by _delivered_on desc, _batch_id desc, _line_no desc
        ) as recency
    from benefits
),

final as (
    select
        tier,
        benefit,
        unit_cost
    from newest
    where recency = 1
)

select * from final
