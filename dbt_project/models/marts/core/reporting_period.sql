-- Grain: one row: the first and the last business date that the release knows.
{{ config(unique_key=['as_of_date']) }}

with building as (
    select as_of_date from {{ source('release', 'building') }}
),

final as (
    select
        building.as_of_date,
        (select min(receipts.business_date) from {{ ref('fct_receipt') }} as receipts) as observed_from
    from building
)

select * from final
