-- Grain: one row per business date with a receipt that this build changed: what the audits look at. In a full build
-- every date.
with changed as (
    {{ changes('fct_receipt', ['business_date']) }}
    union all
    {{ changes('fct_receipt_line', ['business_date']) }}
),

final as (
    select distinct business_date from changed
)

select * from final
