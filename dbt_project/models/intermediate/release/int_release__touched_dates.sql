-- Grain: one row per business date whose receipts may differ from the newest published release: the scope of the
-- receipt facts. A full refresh, a changed project or changed stores touch every date.
with building as (
    select * from {{ source('release', 'building') }}
),

published as (
    select * from {{ source('release', 'base') }}
),

published_receipts as (
    {{ published_rows('fct_receipt', {
        'receipt_id': 'uuid', 'business_date': 'date', 'member_id': 'text', 'is_member_receipt': 'boolean',
    }) }}
),

changed_batches as (
    select batch.*
    from {{ source('ops', 'batch') }} as batch
    where
        batch.state in ('loaded', 'superseded')
        and batch.change_no > coalesce((select batch_change_no from published), 0)
),

touches_everything as (
    select
        building.is_full
        or exists (
            select 1 from changed_batches
            where source = 'reference' and feed = 'stores'
        ) as answer
    from building
),

receipt_dates as (
    select distinct business_date from {{ source('raw', 'pos__receipts') }}
    union
    select distinct business_date from {{ source('raw', 'pos__receipt_lines') }}
),

-- both what was loaded since and what the step in the as-of date shows or hides
changed_dates as (
    select receipts.business_date
    from {{ source('raw', 'pos__receipts') }} as receipts
    inner join changed_batches on receipts._batch_id = changed_batches.batch_id
    union
    select lines.business_date
    from {{ source('raw', 'pos__receipt_lines') }} as lines
    inner join changed_batches on lines._batch_id = changed_batches.batch_id
    union
    select receipt_dates.business_date
    from receipt_dates
    cross join building
    cross join published
    where
        receipt_dates.business_date > least(building.as_of_date, published.earliest_as_of_date)
        and receipt_dates.business_date <= greatest(building.as_of_date, published.latest_as_of_date)
),

-- a card, a link, a merge, a claim or a flag gives and takes receipts on old dates: whatever the reason, a receipt
-- whose member is no longer the one that was published
moved_dates as (
    select distinct coalesce(receipts.business_date, published_receipts.business_date) as business_date
    from {{ ref('int_receipts__receipts') }} as receipts
    full join published_receipts on receipts.receipt_id = published_receipts.receipt_id
    where
        receipts.member_id is distinct from published_receipts.member_id
        or receipts.is_member_receipt is distinct from published_receipts.is_member_receipt
),

coming_and_going_dates as (
    select business_date from changed_dates
    union
    select business_date from moved_dates
),

-- a return or a void changes the receipt it refers to, and so does a return that goes with its member's flag
referred_dates as (
    select receipts.original_business_date as business_date
    from {{ source('raw', 'pos__receipts') }} as receipts
    inner join coming_and_going_dates on receipts.business_date = coming_and_going_dates.business_date
    where receipts.original_business_date is not null
),

-- a sale that comes or goes changes the returns that name it
returning_dates as (
    select receipts.business_date
    from {{ source('raw', 'pos__receipts') }} as receipts
    where
        receipts.original_business_date in (select business_date from coming_and_going_dates)
),

final as (
    select business_date from coming_and_going_dates
    union
    select business_date from referred_dates
    union
    select business_date from returning_dates
    union
    select business_date from receipt_dates
    where (select answer from touches_everything)
)

select * from final
