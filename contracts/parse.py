"""From a schema file to a :class:`~contracts.model.Contract`: the metaschema first, then what it cannot say."""

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema_rs

from contracts.model import (
    EVENT_ID,
    SUBJECTS,
    Contract,
    ContractError,
    Dimension,
    FieldKind,
    FieldSpec,
    Measure,
    Rollup,
)
from contracts.names import RESERVED, SQL_WORDS

HERE = Path(__file__).resolve().parent
FILE_NAME = re.compile(r"v([1-9][0-9]{0,3})\.schema\.json")
KEY_BYTES = 2400
"""Postgres refuses an index row over 2,704 bytes; tenant, minute and the row's own head take the rest."""
_ASCII_PATTERN = re.compile(r"\^\[(?!\^)(?:[ -Z^-~]|\\-)+\](?:[+*]|\{[0-9,]+\})\$")
_NUMERIC = ("integer", "decimal")
SUM_PRECISION = 28
"""Postgres and Spark sum in at most 38 digits: ten to spare hold 10^10 of the greatest terms in a minute."""


def parse(path: Path) -> Contract:
    """Read one ``<type>/v<N>.schema.json``.

    :raises ContractError: naming the file and everything that is wrong with it.
    """
    match = FILE_NAME.fullmatch(path.name)
    if match is None:
        raise ContractError(f"{path}: a schema file is called v<N>.schema.json")
    raw = read_json(path)
    problems = [f"{_pointer(e.instance_path)}: {e.message}" for e in _metaschema().iter_errors(raw)]
    if problems:
        raise ContractError(f"{path}: {'; '.join(problems)} (contracts/metaschema.json)")
    contract = _contract(path.parent.name, int(match[1]), resolve(raw, path))
    problems = _problems(contract)
    if problems:
        raise ContractError(f"{path}: {'; '.join(problems)}")
    return contract


def read_json(path: Path) -> Any:
    """The JSON value in ``path``.

    :raises ContractError: it cannot be read, or is not JSON.
    """
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise ContractError(f"{path}: {error}") from error


def resolve(schema: dict[str, Any], path: Path) -> dict[str, Any]:
    """``schema`` with each property's ``$ref`` into ``common.json`` replaced by its target; keywords beside it win."""
    own = path.parent.parent / "common.json"
    definitions = read_json(own if own.is_file() else HERE / "common.json")["$defs"]
    properties: dict[str, Any] = {}
    for name, value in schema["properties"].items():
        beside = dict(value)
        reference = beside.pop("$ref", None)
        if reference is not None:
            target = reference.rpartition("/")[2]
            if target not in definitions:
                raise ContractError(f"{path}: /properties/{name}: common.json has no $defs/{target}")
            beside = {**definitions[target], **beside}
        properties[name] = beside
    return {**schema, "properties": properties}


def decimal_pattern(precision: int, scale: int, *, signed: bool) -> str:
    """The pattern of a string that fits ``decimal(precision, scale)``: no exponent, no leading zeros."""
    whole = precision - scale
    digits = "0" if whole == 0 else f"(0|[1-9][0-9]{{0,{whole - 1}}})"
    fraction = "" if scale == 0 else rf"(\.[0-9]{{1,{scale}}})?"
    return f"^{'-?' if signed else ''}{digits}{fraction}$"


@cache
def _metaschema() -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator(read_json(HERE / "metaschema.json"), validate_formats=True)


def _pointer(path: list[str | int]) -> str:
    return "".join(f"/{part}" for part in path) or "/"


def _contract(type_: str, version: int, schema: dict[str, Any]) -> Contract:
    meta = schema["x-watershed"]
    required, pii = set(schema["required"]), tuple(meta["pii"])
    return Contract(
        type=type_,
        version=version,
        description=schema["description"],
        owner=meta["owner"],
        browser=meta["browser"],
        partition_key=meta["partition_key"],
        partitions=meta["partitions"],
        pii=pii,
        retention_days=meta["retention_days"],
        rollup=Rollup(
            dimensions=tuple(
                Dimension(d["name"], d.get("field", d["name"]), d.get("capped", False))
                for d in meta["rollup"]["dimensions"]
            ),
            measures=tuple(
                Measure(m["name"], m["kind"], m.get("field"), m.get("where"), m["description"])
                for m in meta["rollup"]["measures"]
            ),
            cap=meta["rollup"]["cap"],
        ),
        fields=tuple(
            _field(name, value, required=name in required, pii=name in pii)
            for name, value in schema["properties"].items()
        ),
        schema=schema,
        subjects=_subjects(meta, schema["properties"]),
    )


def _subjects(meta: dict[str, Any], properties: dict[str, Any]) -> dict[str, tuple[str, ...]]:
    """By kind of person the fields with their id: as the contract says, else its personal text ``<kind>_id``."""
    said = meta.get("subjects", {})
    usual = [n for n in meta["pii"] if n in properties and _kind(properties[n]) == "string"]
    found = {kind: tuple(said.get(kind, [n for n in usual if n == f"{kind}_id"])) for kind in SUBJECTS}
    return {kind: fields for kind, fields in found.items() if fields}


def _kind(schema: dict[str, Any]) -> FieldKind:
    if "x-decimal" in schema:
        return "decimal"
    if schema.get("format") == "date-time":
        return "timestamp"
    kinds: dict[str, FieldKind] = {"string": "string", "integer": "integer", "boolean": "boolean", "object": "map"}
    return kinds[schema["type"]]


def _field(name: str, schema: dict[str, Any], *, required: bool, pii: bool) -> FieldSpec:
    kind = _kind(schema)
    decimal = schema.get("x-decimal", {})
    values: list[str] | None = schema.get("enum")
    return FieldSpec(
        name=name,
        kind=kind,
        required=required,
        precision=decimal.get("precision"),
        scale=decimal.get("scale"),
        pii=pii,
        description=schema.get("description", ""),
        default=schema.get("default"),
        max_length=max(map(len, values)) if values else schema.get("maxLength") if kind == "string" else None,
        ascii=all(v.isascii() for v in values) if values else bool(_ASCII_PATTERN.fullmatch(schema.get("pattern", ""))),
    )


def _problems(contract: Contract) -> list[str]:
    """What the metaschema cannot see: names that collide, fields that do not exist, keys too long for an index."""
    names = {f.name: f for f in contract.fields}
    hashes = {f"{name}_hash" for name in contract.hashed_fields}
    problems = [f"field {n!r} is a column of the envelope; call it otherwise" for n in names if n in RESERVED]
    problems += [f"field {n!r} is a reserved word of SQL; call it otherwise" for n in names if n in SQL_WORDS]
    problems += [f"field {n!r} is the name of a hash column; call it otherwise" for n in names if n in hashes]
    problems += [
        f"required field {n!r} is not among the properties" for n in contract.schema["required"] if n not in names
    ]
    problems += [f"pii names {n!r}, which is no field" for n in contract.pii if n not in names]
    for kind, fields in contract.subjects.items():
        problems += [
            f"subjects: {kind} names {n!r}, which is no string among the personal fields (pii)"
            for n in fields
            if n not in contract.pii or n not in names or names[n].kind != "string"
        ]
    problems += [f"field {f.name!r} needs a description" for f in contract.fields if not f.description]
    key = contract.partition_key
    if key != EVENT_ID and (key not in names or names[key].kind != "string"):
        problems.append(f"partition_key {key!r} must be {EVENT_ID!r} or a field that is a string")
    for spec in contract.fields:
        problems += _decimal_problems(spec, contract.schema["properties"][spec.name])
        if spec.default is not None and spec.required:
            problems.append(f"field {spec.name!r} is required, so its default says nothing")
    return problems + _rollup_problems(contract, names)


def _decimal_problems(spec: FieldSpec, schema: dict[str, Any]) -> list[str]:
    if spec.precision is None or spec.scale is None:
        return []
    if spec.scale > spec.precision:
        return [f"field {spec.name!r}: scale is over precision"]
    fitting = [decimal_pattern(spec.precision, spec.scale, signed=signed) for signed in (False, True)]
    if schema.get("pattern") in fitting:
        return []
    return [f"field {spec.name!r}: the pattern must be {fitting[0]} (or, where it may be negative, {fitting[1]})"]


def _rollup_problems(contract: Contract, names: dict[str, FieldSpec]) -> list[str]:
    problems: list[str] = []
    columns = ["tenant", "minute", *(d.name for d in contract.rollup.dimensions)]
    for measure in contract.rollup.measures:
        columns.append(measure.name)
        if measure.kind == "last":
            columns.append(f"{measure.name}_at")
    problems += [f"rollup column {n!r} is a reserved word of SQL; call it otherwise" for n in columns if n in SQL_WORDS]
    problems += [f"the rollup has two columns {n!r}" for n in sorted({c for c in columns if columns.count(c) > 1})]
    size = 0
    for dimension in contract.rollup.dimensions:
        spec = names.get(dimension.field)
        if spec is None:
            problems.append(f"dimension {dimension.name!r}: no field {dimension.field!r}")
        elif spec.kind == "string":
            size += (spec.max_length or 0) * (1 if spec.ascii else 4)
        elif spec.kind != "integer" or not spec.required or dimension.capped:
            problems.append(f"dimension {dimension.name!r}: a string, or a required integer that is not capped")
    if size > KEY_BYTES:
        problems.append(f"the dimensions take up to {size} bytes, over {KEY_BYTES}: Postgres could not index them")
    for measure in contract.rollup.measures:
        problems += _measure_problems(measure, names)
    return problems


def _measure_problems(measure: Measure, names: dict[str, FieldSpec]) -> list[str]:
    at = f"measure {measure.name!r}"
    problems = [f"{at}: where names {n!r}, which is no field" for n in measure.where or {} if n not in names]
    for name, condition in (measure.where or {}).items():
        kind = names[name].kind if name in names else None
        fits = {"string": str, "boolean": bool, "integer": int}.get(kind or "")
        if isinstance(condition, dict):
            if kind != "integer":
                problems.append(f"{at}: bounds on {name!r} need an integer field")
        elif kind is not None and (fits is None or type(condition) is not fits):
            problems.append(f"{at}: {name!r} is {kind}, so it never equals {condition!r}")
    if measure.field is None:
        return problems
    spec = names.get(measure.field)
    if spec is None:
        return [*problems, f"{at}: no field {measure.field!r}"]
    if measure.kind == "distinct":
        if spec.kind != "string":
            problems.append(f"{at}: distinct counts strings")
    elif spec.kind not in _NUMERIC and (measure.kind, spec.kind) != ("last", "string"):
        problems.append(
            f"{at}: {measure.kind} needs an integer or a decimal{' or a string' if measure.kind == 'last' else ''}"
        )
    elif measure.kind == "last" and spec.pii and spec.kind != "string":
        problems.append(f"{at}: {measure.field!r} points to a person, and only of strings is there a hash to take")
    elif measure.kind == "sum" and (spec.precision or 0) > SUM_PRECISION:
        problems.append(f"{at}: a sum would overflow 38 digits; the most to sum exactly is {SUM_PRECISION}")
    return problems
