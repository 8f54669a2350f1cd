-- Grain: one row per member of whose cards or accounts a changed batch says something that was late: a status, an
-- enrolment, a store or a tier of a time that was published. Whether anything came of it is for others to look at.
with batches as not materialized (
    select * from {{ ref('int_restatement__batches') }}
),

restating as (
    select * from {{ source('release', 'restating') }}
),

bridge as not materialized (
    {{ bridge_then_and_now() }}
),

said as (
    select
        'card' as identifier_kind,
        raw.card_no as identifier,
        left(raw.at, 10)::date as said_of,
        'status' as cause,
        batches.cause_batch_id
    from {{ source('raw', 'pos__member_status') }} as raw
    inner join batches on raw._batch_id = batches.batch_id
    union all
    select
        'card',
        raw.card_no,
        raw.valid_from,
        'service store',
        batches.cause_batch_id
    from {{ source('raw', 'pos__member_assignments') }} as raw
    inner join batches on raw._batch_id = batches.batch_id
    union all
    select
        'card',
        raw.card_no,
        left(raw.enrolled_at, 10)::date,
        'identity',
        batches.cause_batch_id
    from {{ source('raw', 'pos__enrolments') }} as raw
    inner join batches on raw._batch_id = batches.batch_id
    union all
    select
        'account',
        raw.account_id,
        left(coalesce(raw.status_at, raw.updated_at), 10)::date,
        'status',
        batches.cause_batch_id
    from {{ source('raw', 'app__accounts') }} as raw
    inner join batches on raw._batch_id = batches.batch_id
    where raw.status <> 'active' or raw.status_at is not null
    union all
    select
        'account',
        raw.account_id,
        left(raw.member_since, 10)::date,
        'identity',
        batches.cause_batch_id
    from {{ source('raw', 'app__accounts') }} as raw
    inner join batches on raw._batch_id = batches.batch_id
    union all
    select
        'card',
        raw.card_no,
        raw.valid_from,
        'tier',
        batches.cause_batch_id
    from {{ source('raw', 'pos__member_tiers') }} as raw
    inner join batches on raw._batch_id = batches.batch_id
),

final as (
    select distinct
        bridge.member_id,
        said.cause,
        said.cause_batch_id as batch_id
    from said
    inner join restating on said.said_of <= restating.published_until
    inner join bridge on said.identifier_kind = bridge.identifier_kind and said.identifier = bridge.identifier
)

select * from final
