-- Grain: one row per week that was over when it was published, service store and column of kpi_weekly for which a
-- member counts at the close otherwise than it did, because of what it did or said in the app or on a slip, cause and
-- batch.
with batches as not materialized (
    select * from {{ ref('int_restatement__batches') }}
),

restating as (
    select * from {{ source('release', 'restating') }}
),

weeks as (
    select
        week_close.week_start,
        week_close.closing_on
    from {{ ref('week_close') }} as week_close
    inner join restating on week_close.week_start + 6 <= restating.published_until
),

bridge as not materialized (
    {{ bridge_then_and_now() }}
),

said as (
    select
        'account' as identifier_kind,
        raw.account_id as identifier,
        'engaged_30' as measure,
        left(raw.at, 10)::date as said_of,
        batches.cause,
        batches.cause_batch_id
    from {{ source('raw', 'app__events') }} as raw
    inner join batches on raw._batch_id = batches.batch_id
    union all
    select
        kind.identifier_kind,
        contacts.identifier,
        'engaged_30',
        left(raw.at, 10)::date,
        batches.cause,
        batches.cause_batch_id
    from {{ source('raw', 'app__contact_states') }} as raw
    inner join batches on raw._batch_id = batches.batch_id
    inner join {{ ref('fct_contact') }} as contacts on raw.contact_id = contacts.contact_id
    cross join lateral (values ('card'), ('account')) as kind (identifier_kind)
    union all
    select
        side.identifier_kind,
        side.identifier,
        'contactable',
        left(raw.at, 10)::date,
        batches.cause,
        batches.cause_batch_id
    from {{ source('raw', 'app__consents') }} as raw
    inner join batches on raw._batch_id = batches.batch_id
    cross join
        lateral (values ('card', raw.card_no), ('account', raw.account_id)) as side (identifier_kind, identifier)
    union all
    select
        'account',
        raw.account_id,
        profile.measure,
        left(raw.updated_at, 10)::date,
        batches.cause,
        batches.cause_batch_id
    from {{ source('raw', 'app__accounts') }} as raw
    inner join batches on raw._batch_id = batches.batch_id
    cross join lateral (values ('contactable'), ('filled_fields')) as profile (measure)
    union all
    select
        'card',
        raw.card_no,
        'filled_fields',
        left(raw.enrolled_at, 10)::date,
        batches.cause,
        batches.cause_batch_id
    from {{ source('raw', 'pos__enrolments') }} as raw
    inner join batches on raw._batch_id = batches.batch_id
),

speakers as (
    select distinct
        bridge.member_id,
        said.measure,
        said.cause,
        said.cause_batch_id
    from said
    inner join restating on said.said_of <= restating.published_until
    inner join bridge on said.identifier_kind = bridge.identifier_kind and said.identifier = bridge.identifier
),

spans as (
    {{ changes('int_kpi__spans', ['member_id', 'measure', 'store_id', 'valid_from', 'valid_to', 'weight']) }}
),

late as (
    select distinct
        member_id,
        measure
    from speakers
),

-- on both sides alike: no change
counted as (
    select
        weeks.week_start,
        spans.member_id,
        spans.measure,
        spans.store_id
    from spans
    inner join late on spans.member_id = late.member_id and spans.measure = late.measure
    inner join weeks on spans.valid_from <= weeks.closing_on and spans.valid_to > weeks.closing_on
    group by weeks.week_start, spans.member_id, spans.measure, spans.store_id, spans.weight
    having count(*) = 1
),

final as (
    select distinct
        counted.week_start,
        counted.store_id,
        case counted.measure
            when 'engaged_30' then 'engaged_members_30'
            when 'contactable' then 'contactable_members'
            when 'filled_fields' then 'filled_fields'
        end as column_name,
        speakers.cause,
        speakers.cause_batch_id as batch_id
    from counted
    inner join speakers on counted.member_id = speakers.member_id and counted.measure = speakers.measure
)

select * from final
