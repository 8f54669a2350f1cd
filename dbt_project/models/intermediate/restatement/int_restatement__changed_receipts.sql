-- Grain: one row per receipt of a published day that this build changed, or of a return of one, as it was and as it is.
with restating as (
    select * from {{ source('release', 'restating') }}
),

heads as (
    {{ changes('fct_receipt', [
        'receipt_id', 'store_id', 'register_id', 'business_date', 'receipt_no', 'receipt_type', 'original_receipt_id',
        'member_id', 'is_member_receipt', 'qualifies_at_sale', 'is_qualifying', 'is_sale_unknown', 'net_sales_amount',
        'paid_units', 'gross_amount', 'discount_amount',
    ]) }}
),

lines as (
    {{ changes('fct_receipt_line', ['receipt_id', 'business_date']) }}
),

-- of a receipt of which only lines changed, the head is the same on both sides
both_sides as (
    select * from heads
    union all
    select
        receipts.receipt_id,
        receipts.store_id,
        receipts.register_id,
        receipts.business_date,
        receipts.receipt_no,
        receipts.receipt_type,
        receipts.original_receipt_id,
        receipts.member_id,
        receipts.is_member_receipt,
        receipts.qualifies_at_sale,
        receipts.is_qualifying,
        receipts.is_sale_unknown,
        receipts.net_sales_amount,
        receipts.paid_units,
        receipts.gross_amount,
        receipts.discount_amount,
        side.is_new
    from {{ ref('fct_receipt') }} as receipts
    cross join (values (true), (false)) as side (is_new)
    where
        receipts.receipt_id in (select lines.receipt_id from lines)
        and receipts.receipt_id not in (select heads.receipt_id from heads)
),

told as (
    select
        both_sides.*,
        -- what a sale holds beside its net sales
        case
            when qualifies_at_sale
                then concat_ws(' ', paid_units, gross_amount, discount_amount, member_id is null)
        end as basket,
        -- what the receipt counts for among those of members
        case when is_member_receipt then concat_ws(' ', qualifies_at_sale, net_sales_amount) end as member_sales
    from both_sides
),

before as (
    select * from told
    where not is_new
),

after as (
    select * from told
    where is_new
),

final as (
    select
        coalesce(after.receipt_id, before.receipt_id) as receipt_id,
        coalesce(after.store_id, before.store_id) as store_id,
        coalesce(after.register_id, before.register_id) as register_id,
        coalesce(after.business_date, before.business_date) as business_date,
        coalesce(after.receipt_no, before.receipt_no) as receipt_no,
        coalesce(after.original_receipt_id, before.original_receipt_id) as original_receipt_id,
        before.member_id as old_member_id,
        after.member_id as new_member_id,
        before.receipt_id is not null and after.receipt_id is not null as is_on_both_sides,
        (before.is_member_receipt is distinct from after.is_member_receipt) as is_member_change,
        (before.is_qualifying is distinct from after.is_qualifying) as is_qualifying_change,
        (before.is_sale_unknown is distinct from after.is_sale_unknown) as is_sale_unknown_change,
        (before.qualifies_at_sale is distinct from after.qualifies_at_sale)
        or (before.net_sales_amount is distinct from after.net_sales_amount) as is_sales_change,
        (before.basket is distinct from after.basket) as is_basket_change,
        (before.member_sales is distinct from after.member_sales) as is_member_sales_change
    from before
    full join after on before.receipt_id = after.receipt_id
    cross join restating
    where
        coalesce(after.business_date, before.business_date) <= restating.published_until
        or coalesce(after.original_receipt_id, before.original_receipt_id) is not null
)

select * from final
