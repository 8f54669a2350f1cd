-- Grain: one row: the first business date of sales. Nothing is known of the money of the days before.
{{ config(
    schema='marts',
    materialized='versioned',
    consistency_group='core',
    contract={'enforced': true},
    unique_key=['first_business_date'],
    is_published=false,
) }}

with final as (
    select min(business_date) as first_business_date from {{ ref('fct_receipt') }}
    having min(business_date) is not null
)

select * from final
