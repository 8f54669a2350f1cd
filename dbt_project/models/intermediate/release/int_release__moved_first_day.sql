-- Grain: no row, or one: this build knows another first business date of all than the highest published release did;
-- 9999-12-31: there was none.
with periods as (
    {{ changes('reporting_period', ['observed_from']) }}
),

dates as (
    select coalesce(observed_from, date '9999-12-31') as observed_from
    from periods
),

final as (
    select
        min(observed_from) as earlier,
        max(observed_from) as later
    from dates
    having min(observed_from) < max(observed_from)
)

select * from final
