{#
Whose each identifier is, and whose it was when something was published, if that is another member; some twice. All of
it is not put together, so that a join finds the few rows that it needs by their index.
#}
{% macro bridge_then_and_now() -%}
    select
        identifier_kind,
        identifier,
        member_id
    from {{ ref('bridge_identity') }}
    union all
    select
        identifier_kind,
        identifier,
        member_id
    from ({{ changes('bridge_identity', ['identifier_kind', 'identifier', 'member_id']) }}) as changed
{%- endmacro %}
