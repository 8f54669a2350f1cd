{#
Columns of a mart as the highest published release has them, for a model that asks what this build changes; no rows
before the first release. columns: name -> type.
#}
{% macro published_rows(mart, columns) -%}
    {%- set open_rows = adapter.get_relation(target.database, 'history', mart ~ '__open') if execute -%}
    {%- if open_rows -%}
    select
        {{ columns.keys() | join(',\n        ') }}
    from {{ open_rows }}
    {%- else -%}
    select
        {% for name, type in columns.items() -%}
        null::{{ type }} as {{ name }}{{ ',\n        ' if not loop.last }}
        {%- endfor %}
    where false
    {%- endif %}
{%- endmacro %}
