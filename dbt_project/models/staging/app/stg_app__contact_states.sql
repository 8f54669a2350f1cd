-- Grain: one row per contact, state and moment up to the as-of date. step_no: the state's place in the circuit, by
-- which states of one moment are told apart.
with states as (
    {{ active_rows('app', 'contact_states') }}
),

building as (
    select as_of_date from {{ source('release', 'building') }}
),

final as (
    select
        contact_id,
        state,
        array_position(
            array[
                'selected', 'sent', 'failed', 'delivered', 'read', 'silent', 'replied',
                'objection', 'refuse', 'defer', 'accept', 'appointed', 'arrived', 'purchased'
            ],
            state
        ) as step_no,
        {{ app_instant('at') }} as reached_at,
        objection_code
    from states
    where {{ app_date('at') }} <= (select as_of_date from building)
)

select * from final
