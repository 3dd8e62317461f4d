"""The contracts of a folder, found by walking it: the one place that knows which event types exist."""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Self

from contracts.compat import breaking
from contracts.model import (
    Condition,
    Contract,
    ContractError,
    Dimension,
    FieldSpec,
    Measure,
    Rollup,
    UnknownType,
    UnknownVersion,
)
from contracts.parse import FILE_NAME, HERE, parse
from contracts.settings import ContractsSettings

__all__ = [
    "Condition",
    "Contract",
    "ContractError",
    "Dimension",
    "FieldSpec",
    "Measure",
    "Registry",
    "Rollup",
    "UnknownType",
    "UnknownVersion",
    "folder",
]


def folder() -> Path:
    """The folder of the contracts in force: ``CONTRACTS_DIR``, or the one this module lies in."""
    chosen = ContractsSettings.read().contracts_dir
    # An empty variable reads as the current folder, which nobody means.
    return HERE if chosen is None or chosen == Path() else chosen


def _together(versions: list[Contract]) -> None:
    """Refuse versions of a type that do not fit the same tables."""
    for old, new in pairwise(versions):
        broken = [str(change) for change in breaking(old, new)]
        if broken:
            raise ContractError(f"{new.type} v{new.version} does not fit v{old.version}: {'; '.join(broken)}")


class Registry:
    """Every version of every event type; immutable once loaded."""

    def __init__(self, path: Path, contracts: dict[str, dict[int, Contract]]) -> None:
        self.path = path
        self._contracts = contracts

    @classmethod
    def load(cls, path: Path | None = None) -> Self:
        """Read every ``<type>/v<N>.schema.json`` under ``path`` (default: :func:`folder`).

        :raises ContractError: a file is wrong, versions of a type do not fit, or there is no contract at all.
        """
        root = path or folder()
        found: dict[str, dict[int, Contract]] = {}
        for file in sorted(root.glob("*/v*.schema.json")):
            if FILE_NAME.fullmatch(file.name) is None:
                raise ContractError(f"{file}: a schema file is called v<N>.schema.json, N from 1")
            contract = parse(file)
            found.setdefault(contract.type, {})[contract.version] = contract
        for versions in found.values():
            _together([versions[number] for number in sorted(versions)])
        if not found:
            raise ContractError(f"{root}: no <type>/v<N>.schema.json in it (setting CONTRACTS_DIR)")
        return cls(root, {type_: dict(sorted(found[type_].items())) for type_ in sorted(found)})

    def types(self) -> tuple[str, ...]:
        """The names of the event types, sorted."""
        return tuple(self._contracts)

    def versions(self, type_: str) -> tuple[int, ...]:
        """The versions of a type, ascending.

        :raises UnknownType: no such type.
        """
        return tuple(self._versions(type_))

    def newest(self, type_: str) -> Contract:
        """The newest version of a type.

        :raises UnknownType: no such type.
        """
        versions = self._versions(type_)
        return versions[max(versions)]

    def get(self, type_: str, version: int) -> Contract:
        """One version of a type.

        :raises UnknownType: no such type.
        :raises UnknownVersion: no such version of it.
        """
        versions = self._versions(type_)
        if version not in versions:
            raise UnknownVersion(f"{type_} has no version {version}; it has {', '.join(map(str, versions))}")
        return versions[version]

    def __iter__(self) -> Iterator[Contract]:
        """The newest version of each type, by name."""
        return (self.newest(type_) for type_ in self._contracts)

    def _versions(self, type_: str) -> dict[int, Contract]:
        try:
            return self._contracts[type_]
        except KeyError:
            raise UnknownType(f"there is no event type {type_!r}; known are {', '.join(self._contracts)}") from None
