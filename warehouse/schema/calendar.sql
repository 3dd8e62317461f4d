-- Which hour, day, week or month an instant falls into, for a tenant with a time zone of its own (ADR 0022). Idempotent.
--
-- The one definition: claims, dbt, gates, publish and charts ask it. Minutes and hours are those of UTC. Days, ISO weeks
-- and months begin with the first instant of their first local day, are named by that instant, and lie without gap or
-- overlap side by side, on days of 23 or 25 hours too. `zone` is an IANA name. Callers give it as a column: a function
-- that looked it up could not be inlined, and would cost ten times as much a row.

-- The first instant at which clocks in `zone` show midnight of `local_day`, or would if they did not skip it. Postgres takes
-- of a midnight that comes twice (Azores, Havana) the later; the earlier one is that of the offset six hours before.
create or replace function calendar.midnight(local_day timestamp, zone text) returns timestamptz
language sql stable parallel safe
return case
    when
        (
            (local_day at time zone zone) - interval '6 hours'
            + (local_day - ((local_day at time zone zone) - interval '6 hours') at time zone zone)
        ) at time zone zone = local_day
        then least(
            local_day at time zone zone,
            (local_day at time zone zone) - interval '6 hours'
            + (local_day - ((local_day at time zone zone) - interval '6 hours') at time zone zone)
        )
    else local_day at time zone zone
end;
comment on function calendar.midnight is 'The instant with which a local day begins in a time zone.';

-- How long a period is on the wall's clock.
create or replace function calendar.length(grain text) returns interval
language sql immutable parallel safe
return case grain
    when 'minute' then interval '1 minute'
    when 'hour' then interval '1 hour'
    when 'day' then interval '1 day'
    when 'week' then interval '7 days'
    when 'month' then interval '1 month'
end;
comment on function calendar.length is 'How long a period of a grain is on the wall''s clock; null of all time.';

-- Late in a day the clock may have been put back from just after midnight (St. John's until 2011): the next day has
-- begun, although the wall shows the old one again.
create or replace function calendar.period_start(grain text, instant timestamptz, zone text) returns timestamptz
language sql stable parallel safe
return case
    when grain = 'ever' then timestamptz '1970-01-01 00:00:00+00'
    when zone = 'UTC' or grain in ('minute', 'hour') then date_trunc(grain, instant, 'UTC')
    when
        (instant at time zone zone)::time >= time '22:00'
        and instant >= calendar.midnight(date_trunc(grain, instant at time zone zone) + calendar.length(grain), zone)
        then calendar.midnight(date_trunc(grain, instant at time zone zone) + calendar.length(grain), zone)
    else calendar.midnight(date_trunc(grain, instant at time zone zone), zone)
end;
comment on function calendar.period_start is
'The start of the period (minute, hour, day, week, month, ever) that holds an instant, in a time zone.';

create or replace function calendar.period_after(grain text, start timestamptz, zone text, by integer default 1)
returns timestamptz
language sql stable parallel safe
return case
    when grain = 'ever' then timestamptz 'infinity'
    when zone = 'UTC' or grain in ('minute', 'hour')
        then ((start at time zone 'UTC') + by * calendar.length(grain)) at time zone 'UTC'
    else calendar.midnight(date_trunc(grain, start at time zone zone) + by * calendar.length(grain), zone)
end;
comment on function calendar.period_after is
'The start of the period that comes `by` periods after (or, if negative, before) the one that begins at `start`.';

-- Hours do not add up to days where a day begins within one (Kolkata's at 18:30 UTC). Such an hour is cut in two there, and
-- only there: the pieces add up to hours and to days, and of most tenants they are the hours.
create or replace function calendar.piece_start(instant timestamptz, zone text) returns timestamptz
language sql stable parallel safe
return case
    when zone = 'UTC' then date_trunc('hour', instant, 'UTC')
    else greatest(date_trunc('hour', instant, 'UTC'), calendar.period_start('day', instant, zone))
end;
comment on function calendar.piece_start is
'The start of the hour (UTC) that holds an instant, or of the local day if that begins within this hour and before it.';
