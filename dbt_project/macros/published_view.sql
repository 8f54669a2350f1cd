{#
The materialization `published_view`: a view over published marts, nothing stored. It stands twice, like every mart:
marts.<view> over the candidate's rows, bi.<view> over the released rows, so it follows the pointer by itself.
A unique_key, when it says one, is what `memberhouse diff` finds its rows by.
#}
{% materialization published_view, adapter='postgres' %}
    {{ run_hooks(pre_hooks, inside_transaction=False) }}
    {{ run_hooks(pre_hooks, inside_transaction=True) }}
    {{ get_assert_columns_equivalent(sql) }}
    {%- set candidate = adapter.quote(target.database) ~ '.' ~ adapter.quote('marts') ~ '.' -%}
    {%- set released = adapter.quote(target.database) ~ '.' ~ adapter.quote('bi') ~ '.' -%}
    {% call statement('main') -%}
        select 1
    {%- endcall %}
    {% do ensure_view('marts', sql) %}
    {% do ensure_view('bi', sql | replace(candidate, released)) %}
    {% if config.get('unique_key') %}
        {% do run_query(
            "insert into release.published_view (view_name, unique_key) values ('" ~ model.alias ~ "', '{"
            ~ config.get('unique_key') | join(',') ~ "}') on conflict (view_name) do update"
            ~ " set unique_key = excluded.unique_key where published_view.unique_key <> excluded.unique_key") %}
    {% endif %}
    {{ run_hooks(post_hooks, inside_transaction=True) }}
    {{ adapter.commit() }}
    {{ run_hooks(post_hooks, inside_transaction=False) }}
    {{ return({'relations': [this.incorporate(type='view')]}) }}
{% endmaterialization %}


{#
Create or replace the model's view in a schema, only when its definition or its docs changed: replacing takes a lock
that waits for every reader of the view and makes later readers wait behind it.
#}
{% macro ensure_view(schema, definition) %}
    {%- set relation = api.Relation.create(
        database=target.database, schema=schema, identifier=model.alias, type='view') -%}
    {%- set fingerprint = local_md5(
        definition ~ model.description ~ model.columns.values() | map(attribute='description') | join('|')) -%}
    {%- set known = run_query(
        "select 1 from release.view_fingerprint where schema_name = '" ~ schema ~ "' and view_name = '" ~ model.alias
        ~ "' and fingerprint = '" ~ fingerprint ~ "' and to_regclass('" ~ relation ~ "') is not null") -%}
    {% if known | length == 0 %}
        {# a column that went, or moved, can't be replaced away; views on this one are made again in the same build #}
        {% do run_query('drop view if exists ' ~ relation ~ ' cascade') %}
        {% do run_query('create view ' ~ relation ~ ' as ' ~ definition) %}
        {% do persist_docs(relation, model) %}
        {% if not config.get('is_published', true) %}
            {% do run_query('revoke select on ' ~ relation ~ ' from memberhouse_bi') %}
        {% endif %}
        {% do run_query(
            "insert into release.view_fingerprint (schema_name, view_name, fingerprint) values ('" ~ schema ~ "', '"
            ~ model.alias ~ "', '" ~ fingerprint
            ~ "') on conflict (schema_name, view_name) do update set fingerprint = excluded.fingerprint") %}
    {% endif %}
{% endmacro %}
