{#
    As dbt-postgres has it, but arrays by their type: `information_schema` calls all of them ARRAY, of which no column can be
    added (`on_schema_change: append_new_columns`).
#}
{% macro postgres__get_columns_in_relation(relation) -%}
    {% call statement("get_columns_in_relation", fetch_result=True) %}
        select
            column_name,
            case when data_type = 'ARRAY' then ltrim(udt_name, '_') || '[]' else data_type end as data_type,
            character_maximum_length,
            numeric_precision,
            numeric_scale
        from {{ relation.information_schema("columns") }}
        where
            table_name = '{{ relation.identifier }}'
            {% if relation.schema %}
                and table_schema = '{{ relation.schema }}'
            {% endif %}
        order by ordinal_position
    {% endcall %}
    {% set table = load_result("get_columns_in_relation").table %}
    {{ return(sql_convert_columns_in_relation(table)) }}
{% endmacro %}
