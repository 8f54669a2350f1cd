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
