-- Grain: one row per store and closed period; both dates are closed days.
with closures as (
    {{ active_rows('reference', 'store_closures') }}
),

final as (
    select distinct
        store_id,
        closed_from,
        closed_to
    from closures
)

select * from final
