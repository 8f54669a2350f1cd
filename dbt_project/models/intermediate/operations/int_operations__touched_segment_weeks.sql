-- Grain: one row per week whose targets by staff and stage may differ from the highest published release: its list is
-- made by this build or unmade by going back, or its store's target is another one.
with step as (
    select * from {{ ref('int_release__step') }}
),

final as (
    select week_start from {{ ref('int_operations__segments') }}
    union
    select week_start from ({{ changes('target_decomposition', ['week_start', 'metric']) }}) as targets
    where metric = 'net_sales_amount'
    union
    select week_start from ({{ changes('int_operations__list_weeks', ['week_start']) }}) as lists
)

select * from final
where not (select is_full from step)
