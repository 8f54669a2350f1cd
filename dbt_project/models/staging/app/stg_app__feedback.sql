-- Grain: one row per ticket that was opened by the as-of date and version of it. Versions count whenever they were
-- written: what they say is dated by itself, and what happened after the as-of date is not known yet.
with tickets as (
    {{ active_rows('app', 'feedback') }}
),

building as (
    select as_of_date from {{ source('release', 'building') }}
),

final as (
    select
        tickets.ticket_id,
        tickets.member as identifier,
        tickets.kind,
        tickets.score,
        tickets.reason_code,
        {{ app_instant('tickets.opened_at') }} as opened_at,
        {{ app_date('tickets.opened_at') }} as business_date,
        case
            when {{ app_date('tickets.first_response_at') }} <= building.as_of_date
                then {{ app_instant('tickets.first_response_at') }}
        end as first_response_at,
        case
            when {{ app_date('tickets.closed_at') }} <= building.as_of_date then {{ app_instant('tickets.closed_at') }}
        end as closed_at,
        {{ app_instant('tickets.updated_at') }} as changed_at,
        tickets._delivered_on,
        tickets._batch_id,
        tickets._line_no
    from tickets
    cross join building
    where {{ app_date('tickets.opened_at') }} <= building.as_of_date
)

select * from final
