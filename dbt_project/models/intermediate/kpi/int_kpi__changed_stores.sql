-- Grain: one row per store whose region, or when it is open, differs from the highest published release: that concerns
-- every period.
with stores as (
    {{ changes('dim_store', ['store_id', 'region', 'opened_on', 'closed_on']) }}
),

differing as (
    select
        store_id,
        region,
        opened_on,
        closed_on
    from stores
    group by store_id, region, opened_on, closed_on
    having count(*) = 1
),

final as (
    select distinct store_id from differing
)

select * from final
