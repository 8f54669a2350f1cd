-- Grain: one row per event of an account in the app up to the as-of date. What happened without an account is nobody's.
with events as (
    {{ active_rows('app', 'events') }}
),

building as (
    select as_of_date from {{ source('release', 'building') }}
),

final as (
    select
        event_id,
        account_id,
        name as event_name,
        {{ app_date('at') }} as business_date,
        _batch_id
    from events
    where account_id is not null and {{ app_date('at') }} <= (select as_of_date from building)
)

select * from final
