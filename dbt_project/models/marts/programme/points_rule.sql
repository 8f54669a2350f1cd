-- Grain: one row per date from which points are earned and valued so: head office's rules, before its first one the
-- defaults.
{{ config(unique_key=['valid_from']) }}

with fed as (
    select * from {{ ref('stg_reference__points_rules') }}
),

defaults as (
    select * from {{ ref('default_points_rules') }}
),

rules as (
    select
        valid_from,
        earn_per_amount,
        unit_cost,
        breakage_rate,
        expiry_months,
        false as is_default
    from fed
    union all
    select
        valid_from,
        earn_per_amount,
        unit_cost,
        breakage_rate,
        expiry_months,
        true as is_default
    from defaults
    where valid_from < coalesce((select min(fed.valid_from) from fed), date '9999-12-31')
),

final as (
    select
        valid_from,
        lead(valid_from, 1, date '9999-12-31') over (order by valid_from) as valid_to,
        earn_per_amount::numeric(14, 4) as earn_per_amount,
        unit_cost::numeric(14, 4) as unit_cost,
        breakage_rate::numeric(14, 4) as breakage_rate,
        expiry_months,
        is_default
    from rules
)

select * from final
