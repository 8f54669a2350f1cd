-- Grain: one row per card and account that this build looks at anew: those that changed batches speak of, those whose
-- link ends on the step to the as-of date, and all that links ever connected with them.
{{ config(indexes=[{'columns': ['kind', 'id']}, {'columns': ['id']}]) }}

with recursive step as (
    select * from {{ ref('int_release__step') }}
),

batches as (
    select changed.*
    from {{ ref('int_release__changed_batches') }} as changed
    cross join step
    where not step.is_full
),

-- read by key at each step: put aside, it would be read whole each time
links as not materialized (
    select * from {{ source('raw', 'app__identity_links') }}
),

changed_links as (
    select
        links.account_id,
        links.card_no,
        links.survivor_account_id
    from links
    inner join batches on links._batch_id = batches.batch_id and batches.feed = 'identity_links'
    union all
    select
        links.account_id,
        links.card_no,
        links.survivor_account_id
    from links
    cross join step
    where
        links.valid_to is not null
        and not step.is_full
        and {{ app_date('links.valid_to') }} > step.from_date
        and {{ app_date('links.valid_to') }} <= step.to_date
),

seeds as (
    select
        'card' as kind,
        enrolments.card_no as id
    from {{ source('raw', 'pos__enrolments') }} as enrolments
    inner join batches on enrolments._batch_id = batches.batch_id and batches.feed = 'enrolments'
    union
    select
        'card' as kind,
        statuses.card_no as id
    from {{ source('raw', 'pos__member_status') }} as statuses
    inner join batches on statuses._batch_id = batches.batch_id and batches.feed = 'member_status'
    union
    select
        'card' as kind,
        assignments.card_no as id
    from {{ source('raw', 'pos__member_assignments') }} as assignments
    inner join batches on assignments._batch_id = batches.batch_id and batches.feed = 'member_assignments'
    union
    select
        'account' as kind,
        accounts.account_id as id
    from {{ source('raw', 'app__accounts') }} as accounts
    inner join batches on accounts._batch_id = batches.batch_id and batches.feed = 'accounts'
    union
    select
        side.kind,
        side.id
    from changed_links
    cross join
        lateral (
            values
            ('account', changed_links.account_id),
            ('account', changed_links.survivor_account_id),
            ('card', changed_links.card_no)
        ) as side (kind, id)
    where side.id is not null
),

reached as (
    select * from seeds
    union
    select
        neighbour.kind,
        neighbour.id
    from reached
    cross join
        lateral (
            select
                'card' as kind,
                links.card_no as id
            from links
            where reached.kind = 'account' and links.account_id = reached.id
            union all
            select
                'account' as kind,
                links.survivor_account_id as id
            from links
            where reached.kind = 'account' and links.account_id = reached.id
            union all
            select
                'account' as kind,
                links.account_id as id
            from links
            where reached.kind = 'account' and links.survivor_account_id = reached.id
            union all
            select
                'account' as kind,
                links.account_id as id
            from links
            where reached.kind = 'card' and links.card_no = reached.id
        ) as neighbour
    where neighbour.id is not null
),

final as (
    select
        kind,
        id,
        -- a member is known by one of its ids
        id as member_id
    from reached
)

select * from final
