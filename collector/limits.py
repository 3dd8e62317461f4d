"""Token buckets: how much a write key and a client address may send."""

import ipaddress
import math
from collections import OrderedDict
from collections.abc import Callable

MAX_BUCKETS = 100_000
"""Buckets kept; beyond, the one used longest ago is forgotten (it was refilled long before, as a rule)."""


class Buckets:
    """One bucket a name: filled with ``rate`` tokens a second, up to ``burst``. ``rate`` 0: no limit."""

    def __init__(self, rate: float, burst: float, clock: Callable[[], float]) -> None:
        self._rate, self._burst, self._clock = rate, burst, clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, name: str, tokens: float) -> int:
        """Take tokens; 0 when they were there, else the seconds (at least 1) until they are, and none is taken.

        More than ``burst`` at once is given when the bucket is full, and owed.
        """
        if self._rate == 0:
            return 0
        now = self._clock()
        level, at = self._buckets.pop(name, (self._burst, now))
        level = min(self._burst, level + (now - at) * self._rate)
        needed = min(tokens, self._burst)
        if level >= needed:
            self._buckets[name] = (level - tokens, now)
            wait = 0
        else:
            self._buckets[name] = (level, now)
            wait = max(1, math.ceil((needed - level) / self._rate))
        if len(self._buckets) > MAX_BUCKETS:
            self._buckets.popitem(last=False)
        return wait


Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def networks(text: str) -> tuple[Network, ...]:
    """The networks of a comma-separated list of CIDRs.

    :raises ValueError: one of them is none.
    """
    return tuple(ipaddress.ip_network(part.strip()) for part in text.split(",") if part.strip())


def client_address(peer: str, forwarded_for: str | None, trusted: tuple[Network, ...]) -> str:
    """The client's address: the peer's, or behind proxies we trust, the last one in X-Forwarded-For we do not.

    ``peer``: address and port, as in ``127.0.0.1:5000`` or ``[::1]:5000``.
    """
    address = peer.rpartition(":")[0].strip("[]")
    if not trusted or forwarded_for is None:
        return address
    for hop in reversed([*(part.strip() for part in forwarded_for.split(",")), address]):
        try:
            parsed = ipaddress.ip_address(hop)
        except ValueError:
            return address  # no proxy of ours wrote this: not believed
        address = hop
        if not any(parsed in network for network in trusted):
            break
    return address
