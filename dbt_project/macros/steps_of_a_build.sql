{#
The steps between raw and the marts. Only builds and the gate read them, one at a time, so nobody has to be kept reading
while they are made anew: dbt's own `table` and `view`, which do that, take two to three times as many statements, and in
a day's build of a small chain the statements are what takes time.

`rebuilt`: a table that every build drops, fills, indexes and analyzes in one transaction.
#}
{% materialization rebuilt, adapter='postgres' %}
    {{ run_hooks(pre_hooks, inside_transaction=False) }}
    {{ run_hooks(pre_hooks, inside_transaction=True) }}
    {% do drop_unless('table') %}
    {% call statement('main') -%}
        drop table if exists {{ this }} cascade;
        create table {{ this }} as {{ sql }}
    {%- endcall %}
    {% call statement('indexes') -%}
        {% for index in config.get('indexes', []) %}{{ get_create_index_sql(this, index) }};
        {% endfor -%}
        analyze {{ this }}
    {%- endcall %}
    {{ run_hooks(post_hooks, inside_transaction=True) }}
    {{ adapter.commit() }}
    {{ run_hooks(post_hooks, inside_transaction=False) }}
    {{ return({'relations': [this.incorporate(type='table')]}) }}
{% endmaterialization %}


{# `kept_view`: a view that a build makes anew only when its definition changed. #}
{% materialization kept_view, adapter='postgres' %}
    {{ run_hooks(pre_hooks, inside_transaction=False) }}
    {{ run_hooks(pre_hooks, inside_transaction=True) }}
    {% do drop_unless('view') %}
    {% call statement('main') -%}
        select 1
    {%- endcall %}
    {% do ensure_views({model.schema: sql}) %}
    {{ run_hooks(post_hooks, inside_transaction=True) }}
    {{ adapter.commit() }}
    {{ run_hooks(post_hooks, inside_transaction=False) }}
    {{ return({'relations': [this.incorporate(type='view')]}) }}
{% endmaterialization %}


{# The model was of another kind before. #}
{% macro drop_unless(type) %}
    {%- set before = load_cached_relation(this) -%}
    {% if before is not none and before.type != type %}
        {% do adapter.drop_relation(before) %}
    {% endif %}
{% endmacro %}
