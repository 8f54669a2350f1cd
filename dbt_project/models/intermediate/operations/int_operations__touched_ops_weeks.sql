-- Grain: one row per week whose table of repurchase operations may differ from the highest published release.
with final as (
    select week_start from ({{ changes('repurchase_list', ['week_start']) }}) as listed
    union
    select week_start from ({{ changes('target_decomposition', ['week_start', 'metric']) }}) as targets
    where metric = 'repurchased'
    union
    select week_start from ({{ changed_rows('reference', 'ops_notes', ['fed.week_start']) }}) as notes
)

select * from final
where not (select is_full from {{ ref('int_release__step') }})
