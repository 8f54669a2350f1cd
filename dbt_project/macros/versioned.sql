{#
The materialization `versioned`: a mart's rows with their validity by release.

    history.<mart>            parent, partitioned by list on _to_release
        <mart>__open          rows of the newest build (_to_release = 2147483647), unique by the model's key
        <mart>__closed        rows that a later release replaced or removed
    marts.<mart>              the open rows: what ref() reads in a build, its tests and the gate
    bi.<mart>                 what readers see: the rows of the release that the pointer names

A model is a plain SELECT with an enforced contract, and says:
    unique_key          list of the columns that identify a row
    consistency_group   marts that must tie, and are published together
    scope               optional: {columns, relation}. A build computes only rows whose `columns` stand in that
                        relation (a model); all other rows stay as they are. A full build takes no scope.
    is_published        false: other marts are views over it, and readers are not shown it. Default: true.
    fed_by              list of feeds (raw tables) without which the mart may be empty; then it is not fed.
    may_be_empty        true: it tells only of what is over, or of some; a sound release may have no row. Default: false.
    lookups             optional: lists of columns by which builds and readers look rows up.
    meta.restated       optional: how its restatements are told; see versioned__restated.

What unpublished releases left was discarded when the build began. One build of one model is one transaction under an
advisory lock:
    stage the SELECT -> full join with the open rows on the key
    -> delete changed and vanished rows from open, keeping them in closed -> insert new and changed rows.
An unchanged row is not written, so what a build changed can be asked for: macro `changes`. Rows are compared column by
column (`is distinct from`), not by a stored hash, which would close every row when a column comes or goes.
#}
{% materialization versioned, adapter='postgres' %}
    {%- set key = config.require('unique_key') -%}
    {%- set group_name = config.require('consistency_group') -%}
    {%- set table = versioned__names(model.alias) -%}

    {{ run_hooks(pre_hooks, inside_transaction=False) }}
    {{ run_hooks(pre_hooks, inside_transaction=True) }}

    {%- set building = run_query(
        "select pg_advisory_xact_lock(hashtextextended('versioned " ~ model.alias ~ "', 0));"
        ~ 'select release_id, is_full from release.building') -%}
    {% if building | length == 0 %}
        {{ exceptions.raise_compiler_error(
            'No release is being built, and only the newest one may be: start with "memberhouse build".') }}
    {% endif %}
    {% if not config.get('contract').enforced %}
        {{ exceptions.raise_compiler_error('A versioned model needs an enforced contract: it is published.') }}
    {% endif %}
    {%- set scope = none if building[0][1] else config.get('scope') -%}

    {% if building[0][1] %}
        {#- a project that changed is built in full -#}
        {{ get_assert_columns_equivalent(sql) }}
    {% endif %}
    {%- set columns = versioned__columns(
        table.stage,
        'create temporary table ' ~ table.stage ~ ' ' ~ get_table_columns_and_constraints() ~ ' on commit drop;') -%}
    {%- set names = columns.keys() | map('string') | list -%}
    {% do versioned__fill_stage(table.stage, names, key) %}

    {%- set stored = versioned__columns(
        table.parent, versioned__register_sql(table.name, group_name, key, building[0][0])) -%}
    {% if stored %}
        {% do versioned__ensure_columns(table, columns, stored) %}
        {% if building[0][1] %}
            {#- those that came to the project since -#}
            {% do run_query(versioned__create_indexes(table, key)) %}
        {% endif %}
    {% else %}
        {% do versioned__create_tables(table, columns) %}
    {% endif %}
    {% call statement('main') -%}
        {%- if stored -%}
        {{ versioned__apply(table, names, key, building[0][0], scope, stored) }}
        {%- else -%}
        insert into {{ table.open }} ({{ names | join(', ') }}, _from_release, _to_release)
        select {{ names | join(', ') }}, {{ building[0][0] }}, 2147483647 from {{ table.stage }};
        {#- an index is cheaper to build on rows that are there -#}
        {{ versioned__create_indexes(table, key) }}
        {%- endif -%}
    {%- endcall %}
    {%- set select_names = 'select ' ~ names | join(', ') -%}
    {% do ensure_views({
        'marts': select_names ~ ' from ' ~ table.open,
        'bi': select_names ~ ' from ' ~ table.parent ~ ' where ' ~ released_rows(group_name),
    }, first=versioned__analyze_sql(table.open, building[0][0])) %}

    {{ run_hooks(post_hooks, inside_transaction=True) }}
    {{ adapter.commit() }}
    {{ run_hooks(post_hooks, inside_transaction=False) }}
    {{ return({'relations': [this.incorporate(type='view')]}) }}
{% endmaterialization %}


{#
The predicate of every bi view: rows that the session's release holds.
In the plain words "_from_release <= r and _to_release > r" the planner takes a third of the rows for each
condition, because r is known only when the statement starts, and plans joins of a ninth of the table. This shape
means the same rows (nearly all open rows qualify, nearly no closed ones) and is estimated that way. One scan of the
parent, not a union of its two parts, under which look-ups by key were measured to take three times as long.
The release is a scalar sub-select, so it is looked up once a statement and not once a row; the function, which is ten
times as slow as the look at the pointer, is asked only when the session wants another release.
#}
{% macro released_rows(group_name) -%}
    {%- set visible -%}
        (select case
            when coalesce(current_setting('memberhouse.release', true), '') <> '' then release.visible('{{ group_name }}')
            else coalesce((select c.release_id from release.current as c where c.group_name = '{{ group_name }}'), 0)
        end)
    {%- endset -%}
    (_to_release = 2147483647 or _to_release > {{ visible }})
    and (_from_release > {{ visible }} and _to_release > {{ visible }}) is not true
{%- endmacro %}


{% macro versioned__names(name) %}
    {% do return({
        'name': name,
        'parent': 'history.' ~ adapter.quote(name),
        'open': 'history.' ~ adapter.quote(name ~ '__open'),
        'closed': 'history.' ~ adapter.quote(name ~ '__closed'),
        'stage': adapter.quote('stage_' ~ name),
    }) %}
{% endmacro %}


{# name -> type of a table's columns, in their order; empty when there is no such table. first: SQL that runs before. #}
{% macro versioned__columns(table, first) %}
    {%- set columns = {} -%}
    {%- for row in run_query(
        first ~ " select quote_ident(attname), format_type(atttypid, atttypmod) from pg_attribute where attrelid = to_regclass('"
        ~ table ~ "') and attnum > 0 and not attisdropped order by attnum") -%}
        {%- do columns.update({row[0]: row[1]}) -%}
    {%- endfor -%}
    {% do return(columns) %}
{% endmacro %}


{% macro versioned__fill_stage(stage, names, key) %}
    {%- set bad = run_query(
        'insert into ' ~ stage ~ ' (' ~ names | join(', ') ~ ') ' ~ get_select_subquery(sql) ~ '; analyze ' ~ stage ~ ';'
        ~ ' select ' ~ key | join(', ') ~ ', count(*) from ' ~ stage ~ ' group by ' ~ key | join(', ')
        ~ ' having count(*) > 1 or num_nulls(' ~ key | join(', ') ~ ') > 0 limit 1') -%}
    {% if bad | length > 0 %}
        {{ exceptions.raise_compiler_error(
            'The key (' ~ key | join(', ') ~ ') is null or stands on several rows; the first such key and its rows: '
            ~ bad[0].values() | map('string') | join(', ')) }}
    {% endif %}
{% endmacro %}


{% macro versioned__create_tables(table, columns) %}
    {% do run_query('create table ' ~ table.parent ~ ' ('
        ~ columns.items() | map('join', ' ') | join(', ')
        ~ ', _from_release integer not null, _to_release integer not null) partition by list (_to_release);'
        ~ 'create table ' ~ table.open ~ ' partition of ' ~ table.parent ~ ' for values in (2147483647)'
        ~ ' with (autovacuum_vacuum_scale_factor = 0.02);'
        ~ 'create table ' ~ table.closed ~ ' partition of ' ~ table.parent ~ ' default;') %}
{% endmacro %}


{% macro versioned__index_name(kind, table, columns) -%}
    {{ adapter.quote(kind ~ '_' ~ local_md5(table ~ columns | join(','))) }}
{%- endmacro %}


{# By names that follow from their columns: whatever is missing is made, and nothing else. #}
{% macro versioned__create_indexes(table, key) %}
    create unique index if not exists {{ versioned__index_name('key', table.open, key) }}
    on {{ table.open }} ({{ key | join(', ') }});
    {%- for columns in [['_to_release'], key] %}
    create index if not exists {{ versioned__index_name('closed', table.closed, columns) }}
    on {{ table.closed }} ({{ columns | join(', ') }});
    {%- endfor %}
    {%- for columns in [['_from_release']] + config.get('lookups', []) %}
    create index if not exists {{ versioned__index_name('lookup', table.parent, columns) }}
    on {{ table.parent }} ({{ columns | join(', ') }});
    {%- endfor %}
{% endmacro %}


{# A new column is added (null in older rows), to `stored` too; a dropped one stays in history and leaves the views; a
retyped one is refused. #}
{% macro versioned__ensure_columns(table, columns, stored) %}
    {% for column, type in columns.items() %}
        {% if column not in stored %}
            {% do run_query('alter table ' ~ table.parent ~ ' add column ' ~ column ~ ' ' ~ type) %}
            {% do stored.update({column: type}) %}
        {% elif stored[column] != type %}
            {{ exceptions.raise_compiler_error(
                'Column ' ~ column ~ ' is ' ~ stored[column] ~ ' in what was published and ' ~ type
                ~ ' now. A published column keeps its type: give the new one another name.') }}
        {% endif %}
    {% endfor %}
{% endmacro %}


{# What is known of a mart outside of the project: its group, its key, who sees it, what it is fed by, and in which
build it was last. #}
{% macro versioned__register_sql(name, group_name, key, release_id) %}
    {%- set fed_by = config.get('fed_by', []) | map('string') | list -%}
    insert into release.versioned_table (
        table_name, group_name, is_published, fed_by, may_be_empty, unique_key, restated, last_release_id
    ) values (
        '{{ name }}',
        '{{ group_name }}',
        {{ config.get('is_published', true) }},
        '{ {{- fed_by | join(",") -}} }',
        {{ config.get('may_be_empty', false) }},
        '{ {{- key | join(",") -}} }',
        {{ versioned__restated(key) }},
        {{ release_id }}
    )
    on conflict (table_name) do update set
        group_name = excluded.group_name,
        is_published = excluded.is_published,
        fed_by = excluded.fed_by,
        may_be_empty = excluded.may_be_empty,
        unique_key = excluded.unique_key,
        restated = excluded.restated,
        last_release_id = excluded.last_release_id;
    {{ register_member_columns_sql(name) }}
{% endmacro %}


{#
What the model's `meta: restated:` says, as the log of restatements reads it; null when it says nothing:
    over_by     SQL expression: the last day that a row speaks of. Changed when that day was published: a restatement.
    table       the published table that the rows are told of. Default: the model itself.
    key         column -> SQL expression: what identifies a row. Default: its unique key.
    values      column -> SQL expression: what is compared and told. Default: all columns that are not of the key.
    leave_out   columns that are not compared.
    causes      models that say what lies behind a row: columns of the key, perhaps column_name, cause, batch_id.
In an expression, published_until is the as-of date of the group's release before.
#}
{% macro versioned__restated(key) -%}
    {%- set told = config.get('meta', {}).get('restated') -%}
    {%- if not told -%}
    null
    {%- else -%}
    {%- set keys = told.get('key') or dict(zip(key, key)) -%}
    {%- set values = {} -%}
    {%- for column in model.columns if column not in keys and column not in told.get('leave_out', []) -%}
        {%- do values.update({column: column}) -%}
    {%- endfor -%}
    {%- set restated = {
        'table': told.get('table', model.alias),
        'over_by': told['over_by'],
        'key': keys,
        'values': told.get('values') or values,
        'causes': told.get('causes', []),
    } -%}
    '{{ tojson(restated) | replace("'", "''") }}'::jsonb
    {%- endif -%}
{%- endmacro %}


{# The planner needs to know of a table that was filled or has changed much; a day's rows change nothing for it, and
looking at a large table takes longer than writing them. #}
{% macro versioned__analyze_sql(open_table, release_id) -%}
    do $do$ begin
        if (
            select c.reltuples < 100000
                or (select count(*) from {{ open_table }} where _from_release = {{ release_id }}) > c.reltuples / 20
            from pg_class as c where c.oid = '{{ open_table }}'::regclass
        ) then analyze {{ open_table }}; end if;
    end $do$;
{% endmacro %}


{% macro versioned__apply(table, names, key, release_id, scope, stored_columns) %}
    {%- set same_key -%}
        {%- for column in key -%}one.{{ column }} = other.{{ column }}{{ ' and ' if not loop.last }}{%- endfor -%}
    {%- endset -%}
    {%- set difference = adapter.quote('difference_' ~ table.name) -%}
    {#- a closed row keeps the columns that the model no longer has -#}
    {%- set stored = stored_columns.keys() | reject('equalto', '_to_release') | list -%}
    {%- set columns = names | join(', ') -%}

    create temporary table {{ difference }} on commit drop as
    select
        {% for column in key %}coalesce(one.{{ column }}, other.{{ column }}) as {{ column }},
        {% endfor %}one.{{ key[0] }} is not null as is_staged,
        other.{{ key[0] }} is not null as is_stored
    from {{ table.stage }} as one
    full join (
        select * from {{ table.open }}
        {%- if scope %}
        where ({{ scope.columns | join(', ') }}) in (
            select touched.{{ scope.columns | join(', touched.') }} from {{ ref(scope.relation) }} as touched
        )
        {%- endif %}
    ) as other on {{ same_key }}
    where
        one.{{ key[0] }} is null
        or other.{{ key[0] }} is null
        or (one.{{ names | join(', one.') }}) is distinct from (other.{{ names | join(', other.') }});
    analyze {{ difference }};

    with closing as (
        delete from {{ table.open }} as one
        using {{ difference }} as other
        where other.is_stored and {{ same_key }}
        returning one.{{ stored | join(', one.') }}
    )
    insert into {{ table.closed }} ({{ stored | join(', ') }}, _to_release)
    select {{ stored | join(', ') }}, {{ release_id }} from closing;

    insert into {{ table.open }} ({{ columns }}, _from_release, _to_release)
    select one.{{ names | join(', one.') }}, {{ release_id }}, 2147483647
    from {{ table.stage }} as one
    inner join {{ difference }} as other on {{ same_key }};
{% endmacro %}
