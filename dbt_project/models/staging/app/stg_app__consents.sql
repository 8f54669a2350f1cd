-- Grain: one row per consent given or taken back up to the as-of date. Told twice for one moment, no means no.
with consents as (
    {{ active_rows('app', 'consents') }}
),

building as (
    select as_of_date from {{ source('release', 'building') }}
),

dated as (
    select
        coalesce(card_no, account_id) as identifier,
        card_no,
        account_id,
        purpose,
        channel,
        granted as is_granted,
        {{ app_instant('at') }} as stated_at,
        {{ app_date('at') }} as business_date,
        row_number() over (
            partition by coalesce(card_no, account_id), purpose, channel, {{ app_instant('at') }}
            order by granted, account_id
        ) as telling_no
    from consents
),

final as (
    select
        identifier,
        card_no,
        account_id,
        purpose,
        channel,
        is_granted,
        stated_at,
        business_date
    from dated
    where telling_no = 1 and identifier is not null and business_date <= (select as_of_date from building)
)

select * from final
