"""An answer told to a person, top to bottom in the order of the way. Pure: JSON in, lines out."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

_MEANS = {
    "counted": "it is counted",
    "duplicate": "a duplicate: the same event came before, and counts",
    "collision": "a collision: another event came before under the same id, and counts; this one does not",
    "not loaded": "it is in the lake, and no load has read it yet",
    "waiting": "its minute waits to be recomputed by the next load",
    "held": "its minute is held: a file with events of it is missing (`watershed books show --red`)",
    "quarantined": "quarantined: it arrived when its time lay below the floor of the lake, and counts nowhere",
}
"""By verdict what it means."""


def told(answer: Mapping[str, Any]) -> Iterator[str]:
    """The lines of an answer."""
    for event in answer["events"]:
        yield from _event(event)
        yield ""
    twice = _twice(answer["events"])
    if twice:
        yield f"counted more than once: {twice}. An id belongs to one event, with one time: ask the sender"
        yield ""
    for reject in answer["rejects"]:
        yield from _reject(reject)
        yield ""
    for place in answer["unlanded"]:
        yield "in Kafka, and not in the lake yet: topic {topic}, partition {partition}, offset {offset}".format(**place)
        yield "  the lander brings it in: `watershed lake status` says how far that is"
    for event_id in answer["not_found"]:
        yield f"{event_id}: not known"
    yield from _looked(answer)


def _event(event: Mapping[str, Any]) -> Iterator[str]:
    first, *others = event["arrivals"]
    yield f"{event['type']} {event['event_id']} of tenant {event['tenant']}: {event['verdict']}"
    yield f"  {_MEANS[event['verdict']]}"
    if event["erased"]:
        yield "  somebody in it was forgotten: what pointed to them is gone, and it counts as before"
    yield f"occurred   {first['occurred_at']}"
    yield from _arrival(first)
    for one in others:
        yield f"  and came again: {_MEANS[one['is']] if one['verdict'] == one['is'] else _MEANS[one['verdict']]}"
        yield from (f"  {line}" for line in _arrival(one))
    for repair in event["repairs"]:
        yield f"repaired   it was rejected as {repair['reject_id']}, and sent again by repair run {repair['run_id']}"
    yield from _counts(event)


def _arrival(one: Mapping[str, Any]) -> Iterator[str]:
    minted = ", which made its id" if one["minted"] else ""
    yield f"received   {one['received_at']} by collector {one['collector_id']}, sequence {one['sequence']}{minted}"
    place = one["kafka"]
    if place["offset"] is None:
        yield f"Kafka      topic {place['topic']}; it landed before the lake kept partition and offset"
    else:
        yield "Kafka      topic {topic}, partition {partition}, offset {offset}".format(**place)
    yield f"lake       commit {one['land_seq']}, file {one['file']}"
    if one["snapshot"] is not None:
        operation = one["snapshot_operation"] or "expired since"
        yield f"           added by snapshot {one['snapshot']} ({operation})"
    load = one["load"]
    if load is not None:
        yield f"load       run {load['run_id']}, begun {load['started_at']}"
    elif one["verdict"] != "not loaded":
        yield "load       read; the run is no longer known"


def _counts(event: Mapping[str, Any]) -> Iterator[str]:
    rollup, hour = event["rollup"], event["hour_state"]
    if rollup is None:
        return
    key = ", ".join(f"{name}={value}" for name, value in rollup["key"].items())
    yield f"rollup     {rollup['table']} {rollup['minute']} {key}"
    if rollup["over_cap"]:
        yield "           its own key was over the cap of its minute: it is summed under (other)"
    if rollup["row"] is None:
        yield "           there is no such row" + ("" if event["verdict"] == "counted" else " yet")
    added = ", ".join(f"{name} {value}" for name, value in rollup["adds"].items())
    yield f"           adds {added or 'nothing'}"
    if hour["waiting_since"] is not None:
        yield f"charts     its hour changed at {hour['waiting_since']} ({hour['cause']}) and waits to be published"
    if hour["held_because"] is not None:
        yield f"           a gate holds the tenant's numbers back: {hour['held_because']}"
    elif hour["waiting_since"] is None:
        yield f"charts     published; complete through {hour['complete_through'] or 'an instant not yet known'}"
    for mart in event["marts"]:
        yield from _mart(mart)


def _mart(mart: Mapping[str, Any]) -> Iterator[str]:
    rows = mart["rows"]
    there = "" if rows else ": not in it" if mart["mart"].startswith("marts.popular") else ": not in it yet"
    yield f"           {mart['mart']} {mart['period_start']}{there}"
    for row in rows:
        yield "             " + ", ".join(f"{name}={value}" for name, value in row.items() if value is not None)
    for change in mart["restated"]:
        yield f"             restated {change['restated_at']} by {change['cause']}, run {change['run_id']}"
        for run in change["reprocessed_by"] or ():
            yield f"               `watershed reprocess`, run {run}"


def _reject(reject: Mapping[str, Any]) -> Iterator[str]:
    yield f"rejected: {reject['reject_id']} of tenant {reject['tenant']}, type {reject['event_type']}"
    for reason in reject["reasons"]:
        yield f"  {reason['pointer'] or '(the event)'} {reason['keyword']}: {reason['message']}"
    yield f"received   {reject['received_at']} by collector {reject['collector_id']}, sequence {reject['sequence']}"
    yield "Kafka      topic rejected_events, partition {kafka_partition}, offset {kafka_offset}".format(**reject)
    yield f"lake       commit {reject['land_seq']} of quality.rejected_events"
    for repair in reject["repairs"]:
        state = "refused after all" if repair["refused"] else "loaded" if repair["loaded_at"] else "not loaded yet"
        yield f"repaired   as {repair['type']} {repair['event_id']} by run {repair['run_id']}: {state}"
    if reject["erased"]:
        yield "  somebody in it was forgotten: what they sent is gone, and nothing can be mended"
    elif not reject["repairs"]:
        yield f"  `watershed rejects show {reject['reject_id']}` has its body; `watershed repair` can mend it"


def _twice(events: Sequence[Mapping[str, Any]]) -> str:
    minutes: dict[tuple[str, str, str], list[str]] = {}
    for event in events:
        minutes.setdefault((event["tenant"], event["type"], event["event_id"]), []).append(event["minute"])
    return "; ".join(f"{key[1]} {key[2]} at {', '.join(at)}" for key, at in minutes.items() if len(at) > 1)


def _looked(answer: Mapping[str, Any]) -> Iterator[str]:
    yield "looked in:"
    for place in answer["looked"]:
        numbers = ", ".join(
            f"{value:,} {name.replace('_', ' ')}"
            for name, value in place.items()
            if isinstance(value, int) and (value or name != "missing")
        )
        trouble = f"; {place['trouble']}" if place.get("trouble") else ""
        yield f"  {place['in']}: {numbers}{trouble}"
    if not answer["not_found"]:
        return
    for repair in answer["repairs"]:
        became = f"{repair['type']} {repair['event_id']}"
        yield f"  ledger.repairs: rejection {repair['reject_id']} was sent again as {became}"
    collectors = answer["open_collectors"]
    if collectors:
        yield "an open collector may have it in its spool; the one whose promise is oldest:"
        yield "  {collector_id}: all it took before {durable_through} is in Kafka".format(**collectors[0])
    yield "if a sender has a 2xx for it: `watershed books show` tells whether anything acknowledged did not land"
