{# The instant that a feed's ISO 8601 text means: the offset is optional, without one it is the zone's clock. #}
{% macro instant(text, zone) -%}
    case
        when {{ text }} ~ '(Z|[+-][0-9]{2}(:?[0-9]{2})?)$' then {{ text }}::timestamptz
        else {{ text }}::timestamp at time zone {{ zone }}
    end
{%- endmacro %}


{# The business date of an instant: the calendar date in the store's zone, once its day cut-off is taken off. #}
{% macro business_date(instant, zone, cutoff) -%}
    ({{ instant }} at time zone {{ zone }} - {{ cutoff }})::date
{%- endmacro %}


{# One column of the app's own store, APP: its clock is the app's. #}
{% macro app_clock(column, otherwise) -%}
    coalesce((select app.{{ column }} from {{ ref('stg_reference__stores') }} as app where app.store_id = 'APP'), {{ otherwise }})
{%- endmacro %}


{# The instant of one of the app's timestamps, and its business date by the app's clock. #}
{% macro app_instant(text) -%}
    {{ instant(text, app_clock('timezone', "'Asia/Shanghai'")) }}
{%- endmacro %}

{% macro app_date(text) -%}
    {{ app_day(app_instant(text)) }}
{%- endmacro %}


{# The business date of an instant by the app's clock. #}
{% macro app_day(instant) -%}
    {{ business_date(instant, app_clock('timezone', "'Asia/Shanghai'"), app_clock('day_cutoff', "time '00:00'")) }}
{%- endmacro %}
