-- Grain: one row per member whose tier, of the source or expected, this build may see in another way than the highest
-- published release did: the scope of the tiers.
with building as (
    select as_of_date from {{ source('release', 'building') }}
),

step as (
    select * from {{ ref('int_release__step') }}
),

published_history as not materialized (
    {{ published_rows('tier_history', {'member_id': 'text', 'valid_from': 'date', 'next_change_on': 'date'}) }}
),

asked as (
    select bool_or(engagement_30 is not null) as asks_for_engagement from {{ ref('int_tiers__rules') }}
),

changed_rules as (
    {{ changes('int_tiers__rules', ['tier']) }}
),

changed_first_day as (
    {{ changes('int_tiers__first_day', ['first_business_date']) }}
),

changed_receipts as (
    {{ changes('fct_receipt', ['member_id']) }}
),

changed_identifiers as (
    {{ changes('bridge_identity', ['member_id']) }}
),

-- rules, and the day from which money is known, are everybody's
changed_for_all as (
    select
        exists (select 1 from changed_rules)
        or exists (select 1 from changed_first_day) as answer
),

-- cards of which the source said something since, and those that the step in the as-of date shows or hides
told_cards as (
    {{ changed_rows('pos', 'member_tiers', ['fed.card_no']) }}
    union
    select told.card_no
    from {{ source('raw', 'pos__member_tiers') }} as told
    cross join step
    where told.valid_from > step.from_date and told.valid_from <= step.to_date
),

-- what members did in the app counts only while a rule asks for it
active as (
    select member_id
    from ({{ changes('fct_app_event_day', ['member_id']) }}) as event_days
    where (select asks_for_engagement from asked)
),

-- enrolled or merged on another day, or into another member
moved as (
    {{ changes('int_members__members', ['member_id', 'merged_into']) }}
),

touched as (
    select member_id from changed_receipts
    union
    select member_id from changed_identifiers
    union
    select member_id from moved
    union
    select merged_into from moved
    union
    select bridge.member_id
    from {{ ref('bridge_identity') }} as bridge
    inner join told_cards on bridge.identifier = told_cards.card_no
    where bridge.identifier_kind = 'card'
    union
    select member_id from active
    union
    -- time alone changes what is expected
    select history.member_id
    from published_history as history
    where history.next_change_on <= (select as_of_date from building)
    union
    -- the as-of date went back
    select history.member_id
    from published_history as history
    where history.valid_from > (select as_of_date from building)
    union
    select members.member_id
    from {{ ref('int_members__members') }} as members
    where (select answer from changed_for_all)
    union
    select history.member_id
    from published_history as history
    where (select answer from changed_for_all)
),

final as (
    select member_id from touched
    where member_id is not null
)

select * from final
