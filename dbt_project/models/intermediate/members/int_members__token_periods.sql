-- Grain: one row per token of a phone or an openid, member and period, end exclusive, in which it was the member's:
-- from the day it was seen with the member until the day it is seen with another one, or given up.
-- Of the tokens that this build looks at.
with id_periods as (
    select
        kind,
        id,
        member_id,
        valid_from,
        valid_to,
        recorded_at
    from {{ ref('int_members__id_periods') }}
    {% if not is_full_build() -%}
    -- who else was seen with the token, and was not touched
    union all
    select
        identifier_kind as kind,
        identifier as id,
        member_id,
        valid_from,
        valid_to,
        recorded_at
    from ({{ published_rows('bridge_identity', {
        'identifier_kind': 'text', 'identifier': 'text', 'member_id': 'text', 'valid_from': 'date', 'valid_to': 'date',
        'recorded_at': 'timestamptz',
    }) }}) as published
    where
        identifier_kind in ('card', 'account')
        and (identifier_kind, identifier) not in (select kind, id from {{ ref('int_members__touched_ids') }})
        and identifier = any(array(
            select account_id from {{ ref('int_members__touched_accounts') }}
            union
            select enrolments.card_no
            from {{ source('raw', 'pos__enrolments') }} as enrolments
            inner join {{ ref('int_members__touched_tokens') }} as tokens
                on enrolments.phone_token = tokens.value and tokens.kind = 'phone_token'
        ))
    {%- endif %}
),

cards as (
    select * from {{ ref('stg_pos__enrolment_entries') }}
    where
        phone_token is not null
        and not is_held
        and {{ in_scope_by_index('phone_token', 'int_members__touched_tokens', 'value', "kind = 'phone_token'") }}
),

building as (
    select as_of_date from {{ source('release', 'building') }}
),

-- a number that its account has not proved is nobody's
account_tokens as (
    select
        accounts.account_id,
        accounts.changed_at,
        accounts.changed_on,
        token.kind,
        token.value
    from {{ ref('int_members__account_versions') }} as accounts
    cross join
        lateral (
            values
            ('phone_token', case when accounts.phone_verified is distinct from false then accounts.phone_token end),
            ('openid_token', accounts.openid_token)
        ) as token (kind, value)
    where accounts.changed_on <= (select as_of_date from building)
),

with_value_before as (
    select
        account_tokens.*,
        lag(value) over (partition by account_id, kind order by changed_at) as value_before
    from account_tokens
),

changes as (
    select * from with_value_before
    where value is distinct from value_before
),

seen as (
    select
        'phone_token' as kind,
        phone_token as value,
        'card' as holder_kind,
        card_no as holder_id,
        enrolled_at as seen_at,
        enrolled_on as seen_on,
        true as is_held_now
    from cards
    union all
    select
        kind,
        value,
        'account' as holder_kind,
        account_id,
        changed_at,
        changed_on,
        true as is_held_now
    from changes
    where value is not null and {{ in_scope('value', 'int_members__touched_tokens') }}
    union all
    select
        kind,
        value_before,
        'account' as holder_kind,
        account_id,
        changed_at,
        changed_on,
        false as is_held_now
    from changes
    where
        value_before is not null
        and {{ in_scope('value_before', 'int_members__touched_tokens', ['value']) }}
),

numbered as (
    select
        seen.*,
        count(*) filter (where is_held_now) over (
            partition by kind, value
            order by seen_on, seen_at, is_held_now, holder_kind, holder_id
            rows between unbounded preceding and current row
        ) as holding_no
    from seen
),

with_holder as (
    select
        numbered.*,
        first_value(holder_kind || ' ' || holder_id) over (
            partition by kind, value, holding_no order by is_held_now desc, seen_at asc
        ) as holder
    from numbered
),

last_of_day as (
    select distinct on (kind, value, seen_on)
        kind,
        value,
        seen_on,
        seen_at,
        holder_kind,
        case when is_held_now then holder_id end as holder_id
    from with_holder
    -- only its holder can give it up
    where holder_kind || ' ' || holder_id = holder
    order by kind asc, value asc, seen_on asc, holding_no desc, is_held_now asc, seen_at desc
),

-- what ended a period and was erased since
ends as (
    select * from {{ source('ops', 'erased_hold') }}
),

stretches as (
    select
        last_of_day.*,
        least(
            lead(last_of_day.seen_on, 1, date '9999-12-31') over (
                partition by last_of_day.kind, last_of_day.value order by last_of_day.seen_on
            ),
            (
                select min(ends.held_to) from ends
                where ends.token = last_of_day.value and ends.held_to > last_of_day.seen_on
            )
        ) as seen_to
    from last_of_day
),

owned as (
    select
        stretches.kind,
        stretches.value,
        greatest(stretches.seen_at, holders.recorded_at) as recorded_at,
        holders.member_id,
        greatest(stretches.seen_on, holders.valid_from) as valid_from,
        least(stretches.seen_to, holders.valid_to) as valid_to
    from stretches
    inner join id_periods as holders
        on
            stretches.holder_kind = holders.kind
            and stretches.holder_id = holders.id
            and stretches.seen_on < holders.valid_to
            and stretches.seen_to > holders.valid_from
),

marked as (
    select
        owned.*,
        (
            lag(member_id) over before is distinct from member_id
            or lag(valid_to) over before is distinct from valid_from
        ) as is_start
    from owned
    window before as (partition by kind, value order by valid_from)
),

grouped as (
    select
        marked.*,
        count(*) filter (where is_start) over (partition by kind, value order by valid_from) as period_no
    from marked
),

final as (
    select
        kind,
        value,
        member_id,
        min(valid_from) as valid_from,
        max(valid_to) as valid_to,
        min(recorded_at) as recorded_at
    from grouped
    group by kind, value, member_id, period_no
)

select * from final
