-- Grain: one row per pair of members between whom this build moved an identifier (a card, account, phone or openid;
-- null: nobody's; the same twice: at other dates), cause and batch that names such an identifier.
with batches as (
    select * from {{ ref('int_restatement__batches') }}
),

changed as (
    {{ changes('bridge_identity', ['identifier_kind', 'identifier', 'member_id', 'valid_from', 'valid_to']) }}
),

before as (
    select * from changed
    where not is_new
),

after as (
    select * from changed
    where is_new
),

moves as (
    select distinct
        coalesce(before.identifier_kind, after.identifier_kind) as identifier_kind,
        coalesce(before.identifier, after.identifier) as identifier,
        before.member_id as old_member_id,
        after.member_id as new_member_id
    from before
    full join after on before.identifier_kind = after.identifier_kind and before.identifier = after.identifier
    where exists (select 1 from {{ source('release', 'restating') }})
),

enrolments as (
    select
        raw.card_no,
        raw.phone_token,
        batches.cause_batch_id
    from {{ source('raw', 'pos__enrolments') }} as raw
    inner join batches on raw._batch_id = batches.batch_id
),

accounts as (
    select
        raw.account_id,
        raw.phone_token,
        raw.wechat_openid_token,
        batches.cause_batch_id
    from {{ source('raw', 'app__accounts') }} as raw
    inner join batches on raw._batch_id = batches.batch_id
),

links as (
    select
        raw.account_id,
        raw.card_no,
        raw.survivor_account_id,
        batches.cause_batch_id
    from {{ source('raw', 'app__identity_links') }} as raw
    inner join batches on raw._batch_id = batches.batch_id
),

mentions as (
    select 'card' as identifier_kind, card_no as identifier, cause_batch_id from enrolments
    union
    select 'phone_token', phone_token, cause_batch_id from enrolments
    union
    select 'account', account_id, cause_batch_id from accounts
    union
    select 'phone_token', phone_token, cause_batch_id from accounts
    union
    select 'openid_token', wechat_openid_token, cause_batch_id from accounts
    union
    select 'account', account_id, cause_batch_id from links
    union
    select 'card', card_no, cause_batch_id from links
    union
    select 'account', survivor_account_id, cause_batch_id from links
),

final as (
    select distinct
        moves.old_member_id,
        moves.new_member_id,
        'identity' as cause,
        mentions.cause_batch_id as batch_id
    from moves
    inner join mentions
        on moves.identifier_kind = mentions.identifier_kind and moves.identifier = mentions.identifier
)

select * from final
