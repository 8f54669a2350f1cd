-- Grain: one row per name of an app event, as of the newest list that has it.
with events as (
    {{ active_rows('reference', 'event_catalogue') }}
),

newest as (
    select
        events.*,
        row_number() over (partition by name order by _delivered_on desc, _batch_id desc, _line_no desc) as recency
    from events
),

final as (
    select
        name as event_name,
        is_deliberate,
        funnel_step,
        category
    from newest
    where recency = 1
)

select * from final
