-- Grain: one row per contact that was planned by the as-of date. Its clock is its store's, without a store the app's.
with contacts as (
    {{ active_rows('app', 'contacts') }}
),

stores as (
    select * from {{ ref('stg_reference__stores') }}
),

building as (
    select as_of_date from {{ source('release', 'building') }}
),

clocks as (
    select
        contacts.*,
        coalesce(stores.timezone, {{ app_clock('timezone', "'Asia/Shanghai'") }}) as timezone,
        coalesce(stores.day_cutoff, {{ app_clock('day_cutoff', "time '00:00'") }}) as day_cutoff
    from contacts
    left join stores on contacts.store_id = stores.store_id
),

dated as (
    select
        contact_id,
        member as identifier,
        staff_id,
        store_id,
        channel,
        intent,
        template_id,
        campaign_id,
        rung,
        occasion,
        coalesce(self_reported, false) as is_self_reported,
        {{ instant('created_at', 'timezone') }} as created_at,
        {{ business_date(instant('created_at', 'timezone'), 'timezone', 'day_cutoff') }} as business_date
    from clocks
),

final as (
    select *
    from dated
    where business_date <= (select as_of_date from building)
)

select * from final
