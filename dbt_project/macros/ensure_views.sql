{#
Create or replace the model's views, of which there is one a schema, only when their definition or docs changed: replacing
takes a lock that waits for every reader of the view and makes later readers wait behind it.
definitions: schema -> the view's SELECT.
#}
{% macro ensure_views(definitions) %}
    {%- set docs = model.description ~ model.columns.values() | map(attribute='description') | join('|') -%}
    {%- set known = run_query(
        "select schema_name, fingerprint from release.view_fingerprint where view_name = '" ~ model.alias
        ~ "' and to_regclass(format('%I.%I', schema_name, view_name)) is not null").rows | map('join', ' ') | list -%}
    {% for schema, definition in definitions.items() %}
        {%- set relation = api.Relation.create(
            database=target.database, schema=schema, identifier=model.alias, type='view') -%}
        {%- set fingerprint = local_md5(definition ~ docs) -%}
        {% if schema ~ ' ' ~ fingerprint not in known %}
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
    {% endfor %}
{% endmacro %}
