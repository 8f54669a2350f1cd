{#
Writes down which columns of a versioned model name a member (a member id, a card number, an account id, a token): an
erasure goes by it, and stops when it finds a member in a column of which nobody said so. A column says so by its name
(member_id, card_no, account_id, anything ending so or in _token), or in its properties:
    config: {meta: {names_member: true}}      false: it never does, whatever it looks like
    config: {meta: {is_free_text: true}}      people wrote it: a member is taken out of it, the rest stays
What a column was once declared to be stays known, because its rows stay.
#}
{% macro register_member_columns_sql(name) -%}
    {%- set rows = [] -%}
    {%- for column in model.columns.values() if column.data_type == 'text' -%}
        {%- set said = column.config.meta.get('names_member', column.meta.get('names_member')) -%}
        {%- if said is none and modules.re.fullmatch('(.*_)?(member_id|card_no|account_id|token)', column.name) -%}
            {%- set said = true -%}
        {%- endif -%}
        {%- set free_text = column.config.meta.get('is_free_text', column.meta.get('is_free_text', false)) -%}
        {%- do rows.append(
            "('" ~ name ~ "', '" ~ column.name ~ "', " ~ ('null' if said is none else said) ~ '::boolean, ' ~ free_text ~ ')'
        ) -%}
    {%- endfor -%}
    {%- if rows -%}
    insert into release.member_column (table_name, column_name, names_member, is_free_text) values {{ rows | join(', ') }}
    on conflict (table_name, column_name) do update
    set names_member = excluded.names_member, is_free_text = excluded.is_free_text
    where
        (member_column.names_member, member_column.is_free_text)
        is distinct from (excluded.names_member, excluded.is_free_text);
    {%- endif -%}
{%- endmacro %}
