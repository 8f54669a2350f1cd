-- Grain: one row per card or account that was enrolled, where the enrolment counts. Held ones do not.
{{ config(
    unique_key=['identifier_kind', 'identifier'],
    scope={'columns': ['member_id'], 'relation': 'int_members__touched_ids'},
    fed_by=['pos__enrolments', 'app__accounts'],
    lookups=[['member_id']],
) }}

with cards as (
    select * from {{ ref('int_members__enrolments') }}
),

accounts as (
    select
        account_id,
        enrolled_on,
        is_newest,
        -- the first version that says since when
        min(changed_on) filter (where enrolled_on is not null) over (partition by account_id) as entered_on
    from {{ ref('int_members__account_versions') }}
    where {{ in_scope(["'account'", 'account_id'], 'int_members__touched_ids', ['kind', 'id']) }}
),

enrolments as (
    select
        'card' as identifier_kind,
        card_no as identifier,
        card_no,
        null as account_id,
        enrolled_on as business_date,
        entered_on,
        recruit_store_id as store_id,
        recruit_staff_id as staff_id,
        recruit_channel as channel,
        recruit_method as method
    from cards
    union all
    select
        'account' as identifier_kind,
        account_id as identifier,
        null as card_no,
        account_id,
        enrolled_on as business_date,
        entered_on,
        'APP' as store_id,
        null as staff_id,
        'app' as channel,
        null as method
    from accounts
    where is_newest and enrolled_on is not null
),

identified as (
    {{ identified('enrolments') }}
),

final as (
    select
        identifier_kind,
        identifier,
        member_id,
        row_number() over (
            partition by member_id order by business_date asc, identifier_kind desc, entered_on asc, identifier asc
        ) = 1 as is_members_first,
        store_id,
        staff_id,
        channel,
        method,
        business_date as enrolled_on,
        entered_on,
        greatest(entered_on - business_date, 0) as days_backdated
    from identified
)

select * from final
