{# The columns of the model's contract, in its order: for a model that takes all of them from another one. #}
{% macro contract_columns() -%}
    {{ model.columns.keys() | join(',\n        ') }}
{%- endmacro %}
