{#
What is being built: release_id and base_release_id, the numbers of the release and of the one that it starts from (0
outside of a build), is_full, whether it computes every row anew (release.release.full_because), and stored, the marts
of which rows are kept. Hundreds of places ask: whoever began the build has told dbt, and only when dbt is called by
itself the database is asked.
#}
{% macro building() %}
    {%- if not execute -%}
        {% do return({'release_id': 0, 'base_release_id': 0, 'is_full': false, 'stored': []}) %}
    {%- endif -%}
    {%- set told = env_var('MEMBERHOUSE_BUILDING', '') -%}
    {%- if told -%}
        {% do return(fromjson(told)) %}
    {%- endif -%}
    {%- set row = run_query(
        'select coalesce(max(release_id), 0), coalesce(max(base_release_id), 0), coalesce(bool_or(is_full), true),'
        ~ " (select string_agg(table_name, ' ') from release.versioned_table) from release.building")[0] -%}
    {% do return({
        'release_id': row[0], 'base_release_id': row[1], 'is_full': row[2], 'stored': (row[3] or '').split(' ')
    }) %}
{% endmacro %}


{% macro is_full_build() %}
    {% do return(building().is_full) %}
{% endmacro %}


{#
The condition by which a model restricts its input to what this build computes: the keys of a scope relation, or
everything in a full build. columns: expressions in the model; keys: the columns of the relation, by default the same
names without their alias.
#}
{% macro in_scope(columns, relation, keys=none) -%}
    {%- set columns = [columns] if columns is string else columns -%}
    {%- set names = [] -%}
    {%- for column in columns -%}{%- do names.append(column.split('.')[-1]) -%}{%- endfor -%}
    {%- set keys = keys or names -%}
    {%- if execute and is_full_build() -%}
    true
    {%- else -%}
    ({{ columns | join(', ') }}) in (select {{ keys | join(', ') }} from {{ ref(relation) }})
    {%- endif -%}
{%- endmacro %}


{#
The same once more for one column, in words that a view's index is used by. A join with a scope is never carried into a
view that begins with a WITH, so that all of it would be computed first; a comparison with an array is.
condition: on the relation's rows.
#}
{% macro in_scope_by_index(column, relation, key=none, condition='true') -%}
    {%- if execute and is_full_build() -%}
    true
    {%- else -%}
    {{ column }} = any(array(select distinct {{ key or column }} from {{ ref(relation) }} where {{ condition }}))
    {%- endif -%}
{%- endmacro %}


{#
The rows of a versioned model that changed since the release that this build starts from, as they are now (is_new) and
as they were published. Both sides of a changed row; one side of one that came or went. Scopes of later models are made
of it. When a group is held, the build starts from its newest published release, and what other groups published since
counts as changed.
#}
{% macro changes(mart, columns) -%}
    {%- set model = ref(mart) -%}
    {#- numbers, not look-ups: the planner has to see that hardly any row lies between them -#}
    {%- set bounds = building() -%}
    select
        {{ columns | join(',\n        ') }},
        true as is_new
    from history.{{ adapter.quote(mart ~ '__open') }}
    where _from_release > {{ bounds.base_release_id }} and _from_release <= {{ bounds.release_id }}
    union all
    select
        {{ columns | join(',\n        ') }},
        false as is_new
    from history.{{ adapter.quote(mart ~ '__closed') }}
    where
        _to_release > {{ bounds.base_release_id }}
        and _to_release <= {{ bounds.release_id }}
        and _from_release <= {{ bounds.base_release_id }}
{%- endmacro %}


{#
The rows of a versioned model as they were in the release that this build starts from.
#}
{% macro rows_of_base(mart, columns) -%}
    {%- set model = ref(mart) -%}
    {%- set base = building().base_release_id -%}
    select
        {{ columns | join(',\n        ') }}
    from history.{{ adapter.quote(mart) }}
    where _from_release <= {{ base }} and _to_release > {{ base }}
{%- endmacro %}


{#
What generic data tests look at. In a build of what was touched: the rows that it wrote, because an unchanged row was
tested when it was written; keys are unique by an index.
#}
{% macro get_where_subquery(relation) -%}
    {%- set where = config.get('where', '') -%}
    {%- set tested = relation -%}
    {%- if relation.schema == 'marts' and not is_full_build() -%}
        {%- if relation.identifier in (building().stored or []) -%}
            {%- set tested -%}
                (
                    select * from history.{{ adapter.quote(relation.identifier ~ '__open') }}
                    where _from_release = {{ building().release_id }}
                ) as written
            {%- endset -%}
        {%- endif -%}
    {%- endif -%}
    {%- if where -%}
        (select * from {{ tested }} where {{ where }}) as tested
    {%- elif tested is string -%}
        (select * from {{ tested }}) as tested
    {%- else -%}
        {{ tested }}
    {%- endif -%}
{%- endmacro %}
