-- Grain: one row per sale, return or exchange receipt up to the as-of date. What a void of the same key cancelled,
-- and training, are left out as if they had never been.
{{ config(indexes=[{'columns': ['receipt_id']}]) }}

with receipts as (
    select * from {{ ref('stg_pos__receipts') }}
),

flagged as (
    select
        receipts.*,
        bool_or(receipt_type = 'void') over (
            partition by store_id, register_id, business_date, receipt_no
        ) as is_voided
    from receipts
),

final as (
    select * from flagged
    where not is_voided and not is_training
)

select * from final
