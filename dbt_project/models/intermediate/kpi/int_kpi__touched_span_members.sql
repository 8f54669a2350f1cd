-- Grain: one row per member whose spans may differ from the highest published release: its standing may, or what it did
-- in the app or answered, or its profile.
{{ config(indexes=[{'columns': ['member_id']}]) }}

with final as (
    select member_id from {{ ref('int_lifecycle__touched_members') }}
    union
    select member_id from ({{ changes('fct_app_event_day', ['member_id']) }}) as events
    where member_id is not null
    union
    select member_id from ({{ changes('fct_contact', ['member_id']) }}) as contacts
    where member_id is not null
    union
    select member_id from ({{ changes('int_members__profiles', ['member_id']) }}) as profiles
)

select * from final
where not (select is_full from {{ ref('int_release__step') }})
