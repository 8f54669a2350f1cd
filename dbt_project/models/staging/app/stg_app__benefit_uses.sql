-- Grain: one row per card or account, benefit and moment at which it was used by the as-of date, as delivered last.
with uses as (
    {{ active_rows('app', 'benefit_uses') }}
),

building as (
    select as_of_date from {{ source('release', 'building') }}
),

dated as (
    select
        coalesce(card_no, account_id) as identifier,
        card_no,
        account_id,
        benefit,
        cost,
        {{ app_instant('used_at') }} as used_at,
        {{ app_date('used_at') }} as business_date,
        row_number() over (
            partition by coalesce(card_no, account_id), benefit, {{ app_instant('used_at') }}
            order by _delivered_on desc, _batch_id desc, _line_no desc
        ) as recency
    from uses
),

final as (
    select
        identifier,
        card_no,
        account_id,
        benefit,
        cost,
        used_at,
        business_date
    from dated
    where recency = 1 and identifier is not null and business_date <= (select as_of_date from building)
)

select * from final
