{#
    What an app is called, its category and its developer's hash, as last seen before `until`: a lateral join of `alias`,
    which has tenant and app_id, to at most one row called `seen`.
#}
{% macro apps_seen(alias, until) -%}
left join lateral (
        select
            apps.app_name,
            apps.category,
            apps.developer::text as developer
        from {{ ref("int_apps_hourly") }} as apps
        where
            apps.tenant = {{ alias }}.tenant
            and apps.app_id = {{ alias }}.app_id
            and apps.app_id <> '(other)'
            and apps.app_name_at < {{ until }}
        order by apps.app_name_at desc, apps.app_name desc, apps.category desc, apps.developer desc
        limit 1
    ) as seen on true
{%- endmacro %}
