-- What a store's staff and stages are to sell adds up to the store's target, to the cent.
select
    week_start,
    store_id,
    min(store_target_amount) as store_target_amount,
    sum(target_amount) as added_up
from {{ ref('segment_target_weekly') }}
where store_target_amount is not null
group by week_start, store_id
having sum(target_amount) is distinct from min(store_target_amount)
