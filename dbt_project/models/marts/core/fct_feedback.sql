-- Grain: one row per ticket (survey, complaint, review, reason to lapse), in its newest version.
{{ config(
    unique_key=['ticket_id'],
    scope={'columns': ['ticket_id'], 'relation': 'int_facts__touched_feedback'},
    fed_by=['app__feedback'],
    lookups=[['identifier'], ['member_id']],
) }}

with versions as (
    select * from {{ ref('stg_app__feedback') }}
    where {{ in_scope_by_index('ticket_id', 'int_facts__touched_feedback') }}
),

newest as (
    select
        versions.*,
        row_number() over (
            partition by ticket_id
            order by changed_at desc nulls last, _delivered_on desc, _batch_id desc, _line_no desc
        ) as recency
    from versions
),

identified as (
    {{ identified('newest', card='identifier', account='identifier') }}
),

final as (
    select
        ticket_id,
        member_id,
        identifier,
        kind,
        score,
        reason_code,
        opened_at,
        business_date,
        first_response_at,
        closed_at,
        (extract(epoch from first_response_at - opened_at) / 3600)::numeric(14, 2) as first_response_hours,
        (extract(epoch from closed_at - opened_at) / 3600)::numeric(14, 2) as close_hours
    from identified
    where recency = 1
)

select * from final
