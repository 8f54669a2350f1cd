-- Grain: one row per tier and date from which it asks for this, as of the newest file that says so.
with rules as (
    {{ active_rows('reference', 'tier_rules') }}
),

newest as (
    select
        rules.*,
        row_number() over (
            partition by tier, valid_from order by _delivered_on desc, _batch_id desc, _line_no desc
        ) as recency
    from rules
),

final as (
    select
        tier,
        valid_from,
        spend_365,
        purchase_days_365,
        tenure_days,
        engagement_30,
        grace_days
    from newest
    where recency = 1
)

select * from final
