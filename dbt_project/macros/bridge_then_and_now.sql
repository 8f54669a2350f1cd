{# Whose each identifier is, and whose it was when something was published, if that is another member. #}
{% macro bridge_then_and_now() -%}
    select
        identifier_kind,
        identifier,
        member_id
    from {{ ref('bridge_identity') }}
    union
    select
        identifier_kind,
        identifier,
        member_id
    from ({{ changes('bridge_identity', ['identifier_kind', 'identifier', 'member_id']) }}) as changed
{%- endmacro %}
