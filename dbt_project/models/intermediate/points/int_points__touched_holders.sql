-- Grain: one row per holder of points whose lots may differ from the highest published release: one of its entries
-- changed, came or went, or another rule says when points expire.
with changed as (
    {{ changes('fct_points_entry', ['holder_id']) }}
),

changed_rules as (
    {{ changes('points_rule', ['valid_from']) }}
),

final as (
    select holder_id from changed
    where not (select building.is_full from {{ source('release', 'building') }} as building)
    union
    select holder_id from {{ ref('fct_points_entry') }}
    where
        exists (select 1 from changed_rules)
        and not (select building.is_full from {{ source('release', 'building') }} as building)
)

select * from final
