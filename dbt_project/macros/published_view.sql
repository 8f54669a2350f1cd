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
    {% do ensure_views({'marts': sql, 'bi': sql | replace(candidate, released)}) %}
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
