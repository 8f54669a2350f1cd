-- Grain: one row per product whose listing changed, or of which a changed receipt line speaks.
with batches as (
    select * from {{ ref('int_release__changed_batches') }}
    where source = 'reference' and feed = 'products'
),

found as (
    select products.sku
    from {{ source('raw', 'reference__products') }} as products
    inner join batches on products._batch_id = batches.batch_id
    union
    select lines.sku from ({{ changes('fct_receipt_line', ['sku']) }}) as lines
    where lines.sku is not null
),

final as (
    select sku from found
    where not (select is_full from {{ ref('int_release__step') }})
)

select * from final
