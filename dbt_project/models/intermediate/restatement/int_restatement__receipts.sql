-- Grain: one row per receipt of a published day that this build changed, cause and batch.
with restating as (
    select * from {{ source('release', 'restating') }}
),

batches as (
    select * from {{ ref('int_restatement__batches') }}
),

changed as (
    select * from {{ ref('int_restatement__changed_receipts') }}
),

heads as (
    select
        {{ receipt_key('raw') }} as receipt_id,
        raw.store_id,
        raw.register_id,
        raw.business_date,
        raw.receipt_no,
        raw.receipt_type,
        batches.cause,
        batches.cause_batch_id
    from {{ source('raw', 'pos__receipts') }} as raw
    inner join batches on raw._batch_id = batches.batch_id
    where raw.business_date in (select changed.business_date from changed)
),

lines as (
    select distinct
        {{ receipt_key('raw') }} as receipt_id,
        batches.cause,
        batches.cause_batch_id
    from {{ source('raw', 'pos__receipt_lines') }} as raw
    inner join batches on raw._batch_id = batches.batch_id
    where raw.business_date in (select changed.business_date from changed)
),

claims as (
    select
        {{ receipt_key('raw') }} as receipt_id,
        batches.cause_batch_id
    from (
        select
            claimed._batch_id,
            claimed.store_id,
            claimed.register_id,
            claimed.business_date,
            claimed.receipt_no,
            coalesce(claimed.receipt_type, 'sale') as receipt_type
        from {{ source('raw', 'app__receipt_claims') }} as claimed
    ) as raw
    inner join batches on raw._batch_id = batches.batch_id
),

-- the receipt's own rows, and a void of it
sent as (
    select changed.receipt_id, heads.cause, heads.cause_batch_id
    from changed
    inner join heads on changed.receipt_id = heads.receipt_id
    union
    select changed.receipt_id, lines.cause, lines.cause_batch_id
    from changed
    inner join lines on changed.receipt_id = lines.receipt_id
    union
    select changed.receipt_id, heads.cause, heads.cause_batch_id
    from changed
    inner join heads
        on
            heads.receipt_type = 'void'
            and changed.store_id = heads.store_id
            and changed.register_id = heads.register_id
            and changed.business_date = heads.business_date
            and changed.receipt_no = heads.receipt_no
),

-- by whom it was, when nobody sent it anew
named as (
    select changed.receipt_id, moves.cause, moves.batch_id as cause_batch_id
    from changed
    inner join {{ ref('int_restatement__moves') }} as moves
        on
            coalesce(changed.old_member_id in (moves.old_member_id, moves.new_member_id), true)
            and coalesce(changed.new_member_id in (moves.old_member_id, moves.new_member_id), true)
    where changed.is_on_both_sides and changed.old_member_id is distinct from changed.new_member_id
    union
    select changed.receipt_id, 'identity', claims.cause_batch_id
    from changed
    inner join claims on changed.receipt_id = claims.receipt_id
    where changed.is_on_both_sides and changed.old_member_id is distinct from changed.new_member_id
    union
    select changed.receipt_id, statuses.cause, statuses.batch_id
    from changed
    inner join {{ ref('int_restatement__statuses') }} as statuses
        on statuses.member_id in (changed.old_member_id, changed.new_member_id)
    where
        changed.is_member_change
        and (changed.is_on_both_sides or changed.receipt_id not in (select sent.receipt_id from sent))
),

own as (
    select * from sent
    union
    select * from named
),

-- what became of a sale by its return, and of a return by its sale
referred as (
    select
        sales.receipt_id,
        case when returns.business_date > restating.published_until then 'return' else own.cause end as cause,
        own.cause_batch_id
    from changed as sales
    inner join changed as returns on sales.receipt_id = returns.original_receipt_id
    inner join own on returns.receipt_id = own.receipt_id
    cross join restating
    where sales.is_on_both_sides and sales.is_qualifying_change
    union
    select
        returns.receipt_id,
        own.cause,
        own.cause_batch_id
    from changed as returns
    inner join own on returns.original_receipt_id = own.receipt_id
    where returns.is_on_both_sides and returns.is_sale_unknown_change
),

causes as (
    select * from own
    union
    select * from referred
),

final as (
    select
        changed.receipt_id,
        causes.cause,
        causes.cause_batch_id as batch_id
    from causes
    inner join changed on causes.receipt_id = changed.receipt_id
    inner join restating on changed.business_date <= restating.published_until
)

select * from final
