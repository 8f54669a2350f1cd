-- Grain: one row per member with a receipt that differs from the highest published release.
with changed as (
    {{ changes('fct_receipt', ['member_id']) }}
),

final as (
    select distinct member_id
    from changed
    where
        member_id is not null
        and not (select building.is_full from {{ source('release', 'building') }} as building)
)

select * from final
