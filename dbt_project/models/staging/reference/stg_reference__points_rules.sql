-- Grain: one row per date from which points are earned and valued so, as of the newest list that has it.
with rules as (
    {{ active_rows('reference', 'points_rules') }}
),

newest as (
    select
        rules.*,
        row_number() over (
            partition by valid_from order by _delivered_on desc, _batch_id desc, _line_no desc
        ) as recency
    from rules
),

final as (
    select
        valid_from,
        earn_per_amount,
        unit_cost,
        breakage_rate,
        expiry_months
    from newest
    where recency = 1
)

select * from final
