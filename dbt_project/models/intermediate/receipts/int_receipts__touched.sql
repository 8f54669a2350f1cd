-- Grain: one row per receipt key whose receipt may differ from the highest published release: the scope of the receipt
-- facts. What a batch brought or took, what comes into sight on the step to the as-of date, what is named by an
-- identifier that changed hands or whose member changed, and sales and returns that refer to one another.
{{ config(indexes=[{'columns': ['receipt_id']}, {'columns': ['business_date']}]) }}

with step as (
    select * from {{ ref('int_release__step') }}
),

batches as (
    select changed.*
    from {{ ref('int_release__changed_batches') }} as changed
    cross join step
    where not step.is_full
),

-- read by key in several places: put aside, it would be read whole
receipts as not materialized (
    select * from {{ source('raw', 'pos__receipts') }}
),

claims as not materialized (
    select * from {{ source('raw', 'app__receipt_claims') }}
),

changed_members as (
    {{ changes('int_members__members', ['member_id']) }}
    union all
    {{ changes('int_members__exclusions', ['member_id']) }}
    union all
    {{ changes('int_members__flag_periods', ['member_id']) }}
),

changed_identifiers as (
    {{ changes('bridge_identity', ['identifier_kind', 'identifier']) }}
),

identifiers as (
    select
        changed_identifiers.identifier_kind,
        changed_identifiers.identifier
    from changed_identifiers
    cross join step
    where not step.is_full
    union
    select
        bridge.identifier_kind,
        bridge.identifier
    from {{ ref('bridge_identity') }} as bridge
    cross join step
    where not step.is_full and bridge.member_id in (select member_id from changed_members)
),

direct as (
    select
        receipts.store_id,
        receipts.register_id,
        receipts.business_date,
        receipts.receipt_no
    from receipts
    inner join batches on receipts._batch_id = batches.batch_id and batches.feed = 'receipts'
    where batches.is_changed
    union
    select
        lines.store_id,
        lines.register_id,
        lines.business_date,
        lines.receipt_no
    from {{ source('raw', 'pos__receipt_lines') }} as lines
    inner join batches on lines._batch_id = batches.batch_id and batches.feed = 'receipt_lines'
    where batches.is_changed
    union
    select
        receipts.store_id,
        receipts.register_id,
        receipts.business_date,
        receipts.receipt_no
    from receipts
    cross join step
    where receipts.business_date > step.from_date and receipts.business_date <= step.to_date and not step.is_full
    union
    select
        claims.store_id,
        claims.register_id,
        claims.business_date,
        claims.receipt_no
    from claims
    inner join batches on claims._batch_id = batches.batch_id and batches.feed = 'receipt_claims'
    {% for kind, column in {
        'card': 'member_card_no', 'account': 'account_id', 'phone_token': 'member_phone_token'
    }.items() %}
        union
        select
            receipts.store_id,
            receipts.register_id,
            receipts.business_date,
            receipts.receipt_no
        from receipts
        inner join identifiers
            on receipts.{{ column }} = identifiers.identifier and identifiers.identifier_kind = '{{ kind }}'
    {% endfor %}
    union
    select
        claims.store_id,
        claims.register_id,
        claims.business_date,
        claims.receipt_no
    from claims
    inner join identifiers
        on claims.account_id = identifiers.identifier and identifiers.identifier_kind = 'account'
),

-- the sales that returns and exchanges among them name
sold as (
    select
        coalesce(receipts.original_store_id, receipts.store_id) as store_id,
        coalesce(receipts.original_register_id, receipts.register_id) as register_id,
        coalesce(receipts.original_business_date, receipts.business_date) as business_date,
        receipts.original_receipt_no as receipt_no
    from receipts
    inner join direct
        on
            receipts.business_date = direct.business_date
            and receipts.store_id = direct.store_id
            and receipts.register_id = direct.register_id
            and receipts.receipt_no = direct.receipt_no
    where receipts.original_receipt_no is not null
),

with_sold as (
    select * from direct
    union
    select * from sold
),

-- and all returns and exchanges that name any of these
referring as (
    select
        receipts.store_id,
        receipts.register_id,
        receipts.business_date,
        receipts.receipt_no
    from receipts
    inner join with_sold
        on
            receipts.original_receipt_no = with_sold.receipt_no
            and coalesce(receipts.original_store_id, receipts.store_id) = with_sold.store_id
            and coalesce(receipts.original_register_id, receipts.register_id) = with_sold.register_id
            and coalesce(receipts.original_business_date, receipts.business_date) = with_sold.business_date
),

-- a number may stand for a sale and for a return: only what was looked for above is complete with all that it refers to
typed as (
    select
        direct.*,
        types.receipt_type
    from direct
    cross join (values ('sale'), ('return'), ('exchange'), ('void')) as types (receipt_type)
    union
    select
        sold.*,
        types.receipt_type
    from sold
    cross join (values ('sale'), ('void')) as types (receipt_type)
    union
    select
        referring.*,
        types.receipt_type
    from referring
    cross join (values ('return'), ('exchange'), ('void')) as types (receipt_type)
),

final as (
    select
        {{ receipt_key('typed') }} as receipt_id,
        typed.store_id,
        typed.register_id,
        typed.business_date,
        typed.receipt_no,
        typed.receipt_type
    from typed
)

select * from final
