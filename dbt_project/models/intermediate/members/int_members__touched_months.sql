-- Grain: one row per member and calendar month with a day that this build changed; none in a full one, which takes no
-- scope.
with changed as (
    {{ changes('int_members__days', ['member_id', 'business_date']) }}
),

final as (
    select distinct
        member_id,
        date_trunc('month', business_date)::date as month_start
    from changed
    where not (select is_full from {{ ref('int_release__step') }})
)

select * from final
