{# Whether a batch of ops.batch was refused, and nothing that was loaded since takes its place. #}
{% macro is_open_refusal(batch) -%}
    {{ batch }}.state = 'refused' and not exists (
        select 1 from {{ source('ops', 'batch') }} as later
        where
            later.source = {{ batch }}.source
            and later.feed = {{ batch }}.feed
            and later.business_date = {{ batch }}.business_date
            and later.store_id = {{ batch }}.store_id
            and later.state = 'loaded'
            and later.batch_id > {{ batch }}.batch_id
    )
{%- endmacro %}
