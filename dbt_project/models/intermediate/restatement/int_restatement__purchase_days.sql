-- Grain: one row per member, published business date with a receipt that this build changed, cause and batch.
{{ config(materialized='kept_view') }}

with final as (
    select distinct
        side.member_id,
        changed.business_date,
        receipts.cause,
        receipts.batch_id
    from {{ ref('int_restatement__receipts') }} as receipts
    inner join {{ ref('int_restatement__changed_receipts') }} as changed on receipts.receipt_id = changed.receipt_id
    cross join lateral (values (changed.old_member_id), (changed.new_member_id)) as side (member_id)
    where side.member_id is not null
)

select * from final
