{#
Create or replace the model's views, of which there is one a schema, only when their definition changed: replacing takes a
lock that waits for every reader of the view and makes later readers wait behind it. Docs alone are written anew in place.
definitions: schema -> the view's SELECT. first: SQL that runs before, in the same statement.
#}
{% macro ensure_views(definitions, first='') %}
    {%- set docs = model.description ~ model.columns.values() | map(attribute='description') | join('|') -%}
    {%- set known = {} -%}
    {%- for row in run_query(
        first ~ "select schema_name, fingerprint from release.view_fingerprint where view_name = '" ~ model.alias
        ~ "' and to_regclass(format('%I.%I', schema_name, view_name)) is not null") -%}
        {%- do known.update({row[0]: row[1]}) -%}
    {%- endfor -%}
    {% for schema, definition in definitions.items() %}
        {%- set relation = api.Relation.create(
            database=target.database, schema=schema, identifier=model.alias, type='view') -%}
        {%- set fingerprint = local_md5(definition) ~ ' ' ~ local_md5(docs) -%}
        {%- set known_fingerprint = known.get(schema, '') -%}
        {% if known_fingerprint != fingerprint %}
            {% if known_fingerprint.split(' ')[0] != fingerprint.split(' ')[0] %}
                {# a column that went, or moved, can't be replaced away; views on this one are made again in the same
                build #}
                {% do run_query('drop view if exists ' ~ relation ~ ' cascade') %}
                {% do run_query('create view ' ~ relation ~ ' as ' ~ definition) %}
                {% if not config.get('is_published', true) %}
                    {% do run_query('revoke select on ' ~ relation ~ ' from memberhouse_bi') %}
                {% endif %}
            {% endif %}
            {% do persist_docs(relation, model) %}
            {% do run_query(
                "insert into release.view_fingerprint (schema_name, view_name, fingerprint) values ('" ~ schema ~ "', '"
                ~ model.alias ~ "', '" ~ fingerprint
                ~ "') on conflict (schema_name, view_name) do update set fingerprint = excluded.fingerprint") %}
        {% endif %}
    {% endfor %}
{% endmacro %}
