{#
Columns of a mart as the highest published release has them, for a model that asks what this build changes; no rows
before the first release. columns: name -> type.
#}
{% macro published_rows(mart, columns) -%}
    {%- if mart in (building().stored or []) -%}
    select
        {{ columns.keys() | join(',\n        ') }}
    from history.{{ adapter.quote(mart ~ '__open') }}
    {%- else -%}
    select
        {% for name, type in columns.items() -%}
        null::{{ type }} as {{ name }}{{ ',\n        ' if not loop.last }}
        {%- endfor %}
    where false
    {%- endif %}
{%- endmacro %}
