-- Grain: one row per member and period, end exclusive, in which as much of its profile is filled, and it may be
-- contacted or not; past and future. Periods in which nothing is filled and nothing allowed have no row.
-- Of several cards and accounts one that has a field is enough, and the one that spoke last is believed. Contactable:
-- consent to marketing on a channel of which the address is verified; an open id is, by signing in.
{{ config(
    unique_key=['member_id', 'valid_from'],
    scope={'columns': ['member_id'], 'relation': 'int_members__touched_statements'},
) }}

with bridge as (
    select * from {{ ref('bridge_identity') }}
    where identifier_kind in ('card', 'account') and {{ in_scope('member_id', 'int_members__touched_statements') }}
),

statements as (
    select
        bridge.member_id,
        stated.kind,
        stated.id,
        stated.valid_from as stated_on,
        greatest(stated.valid_from, bridge.valid_from) as valid_from,
        least(stated.valid_to, bridge.valid_to) as valid_to,
        stated.has_name,
        stated.has_verified_phone,
        stated.has_verified_email,
        stated.has_openid,
        stated.has_gender,
        stated.has_birthday,
        stated.has_city,
        stated.gender,
        stated.birth_year,
        stated.birth_month
    from bridge
    inner join {{ ref('int_members__statements') }} as stated
        on
            bridge.identifier_kind = stated.kind
            and bridge.identifier = stated.id
            and bridge.valid_from < stated.valid_to
            and bridge.valid_to > stated.valid_from
),

consents as (
    select
        consents.*,
        row_number() over (
            partition by member_id, channel, business_date order by stated_at desc, is_granted asc
        ) as recency
    from {{ ref('fct_consent') }} as consents
    where
        purpose = 'marketing'
        and member_id is not null
        and {{ in_scope('member_id', 'int_members__touched_statements') }}
),

allowed as (
    select
        member_id,
        channel,
        is_granted,
        business_date as valid_from,
        lead(business_date, 1, date '9999-12-31') over (
            partition by member_id, channel order by business_date
        ) as valid_to
    from consents
    where recency = 1
),

edges as (
    select
        member_id,
        valid_from as day
    from statements
    union
    select
        member_id,
        valid_to as day
    from statements
    union
    select
        member_id,
        valid_from as day
    from allowed
),

stretches as (
    select
        member_id,
        day as valid_from,
        lead(day, 1, date '9999-12-31') over (partition by member_id order by day) as valid_to
    from edges
    where day < date '9999-12-31'
),

told as (
    select
        stretches.member_id,
        stretches.valid_from,
        bool_or(statements.has_name) as has_name,
        bool_or(statements.has_verified_phone) as has_verified_phone,
        bool_or(statements.has_verified_email) as has_verified_email,
        bool_or(statements.has_openid) as has_openid,
        bool_or(statements.has_gender) as has_gender,
        bool_or(statements.has_birthday) as has_birthday,
        bool_or(statements.has_city) as has_city,
        (
            array_agg(statements.gender order by statements.stated_on desc, statements.kind asc, statements.id asc)
            filter (where statements.gender is not null)
        )[1] as gender,
        (
            array_agg(statements.birth_year order by statements.stated_on desc, statements.kind asc, statements.id asc)
            filter (where statements.has_birthday)
        )[1] as birth_year,
        (
            array_agg(statements.birth_month order by statements.stated_on desc, statements.kind asc, statements.id asc)
            filter (where statements.has_birthday)
        )[1] as birth_month
    from stretches
    inner join statements
        on
            stretches.member_id = statements.member_id
            and stretches.valid_from >= statements.valid_from
            and stretches.valid_from < statements.valid_to
    group by stretches.member_id, stretches.valid_from
),

channels as (
    select
        stretches.member_id,
        stretches.valid_from,
        bool_or(allowed.channel in ('sms', 'call')) as has_phone_consent,
        bool_or(allowed.channel = 'email') as has_email_consent,
        bool_or(allowed.channel = 'wechat') as has_wechat_consent
    from stretches
    inner join allowed
        on
            stretches.member_id = allowed.member_id
            and stretches.valid_from >= allowed.valid_from
            and stretches.valid_from < allowed.valid_to
    where allowed.is_granted
    group by stretches.member_id, stretches.valid_from
),

final as (
    select
        stretches.member_id,
        stretches.valid_from,
        stretches.valid_to,
        (
            {% for field in required_profile_fields() %}
                told.{{ field }}::integer{% if not loop.last %} +{% endif %}
            {% endfor %}
        ) as filled_fields,
        coalesce(
            (channels.has_phone_consent and told.has_verified_phone)
            or (channels.has_email_consent and told.has_verified_email)
            or (channels.has_wechat_consent and told.has_openid),
            false
        ) as is_contactable,
        told.gender,
        told.birth_year,
        told.birth_month
    from stretches
    inner join told
        on stretches.member_id = told.member_id and stretches.valid_from = told.valid_from
    left join channels
        on stretches.member_id = channels.member_id and stretches.valid_from = channels.valid_from
)

select * from final
where filled_fields > 0 or is_contactable
