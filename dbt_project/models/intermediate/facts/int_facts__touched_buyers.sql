-- Grain: one row per member whose purchase days differ from the highest published release.
with changed as (
    {{ changes('fct_purchase_day', ['member_id']) }}
),

final as (
    select distinct member_id from changed
    where not (select building.is_full from {{ source('release', 'building') }} as building)
)

select * from final
