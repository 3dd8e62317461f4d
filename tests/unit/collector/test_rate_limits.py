"""Limits per key and address: what is let through, how long to wait, and whose address it is."""

from collector import limits
from collector.limits import Buckets, client_address, networks


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_burst_passes_then_the_rate_holds() -> None:
    clock = Clock()
    buckets = Buckets(rate=10, burst=30, clock=clock)
    assert buckets.take("a", 30) == 0
    assert buckets.take("a", 20) == 2
    clock.now += 1
    assert buckets.take("a", 20) == 1
    clock.now += 1
    assert buckets.take("a", 20) == 0


def test_a_refused_take_costs_nothing() -> None:
    clock = Clock()
    buckets = Buckets(rate=10, burst=10, clock=clock)
    buckets.take("a", 10)
    for _ in range(5):
        buckets.take("a", 10)
    clock.now += 1
    assert buckets.take("a", 10) == 0


def test_names_do_not_share_a_bucket() -> None:
    buckets = Buckets(rate=1, burst=1, clock=Clock())
    assert (buckets.take("a", 1), buckets.take("b", 1)) == (0, 0)
    assert buckets.take("a", 1) == 1


def test_more_than_a_burst_at_once_passes_when_full_and_is_owed() -> None:
    clock = Clock()
    buckets = Buckets(rate=10, burst=10, clock=clock)
    assert buckets.take("a", 50) == 0
    assert buckets.take("a", 1) == 5


def test_rate_zero_is_no_limit() -> None:
    assert Buckets(rate=0, burst=1, clock=Clock()).take("a", 10**9) == 0


def test_the_number_of_buckets_is_bounded(monkeypatch: object) -> None:
    buckets = Buckets(rate=1, burst=1, clock=Clock())
    limits_before = limits.MAX_BUCKETS
    limits.MAX_BUCKETS = 3
    try:
        for name in "abcdef":
            buckets.take(name, 1)
        assert len(buckets._buckets) == 3
    finally:
        limits.MAX_BUCKETS = limits_before


PROXIES = networks("10.0.0.0/8, 192.168.1.1/32")


def test_the_peer_is_the_client_unless_it_is_a_proxy_of_ours() -> None:
    assert client_address("203.0.113.9:5000", "198.51.100.1", PROXIES) == "203.0.113.9"
    assert client_address("[2001:db8::1]:5000", None, PROXIES) == "2001:db8::1"
    assert client_address("10.0.0.1:80", "198.51.100.1", ()) == "10.0.0.1"


def test_behind_our_proxies_the_client_is_the_last_hop_we_do_not_run() -> None:
    assert client_address("10.0.0.1:80", "198.51.100.1", PROXIES) == "198.51.100.1"
    assert client_address("10.0.0.1:80", "6.6.6.6, 198.51.100.1, 10.2.2.2", PROXIES) == "198.51.100.1"
    assert client_address("10.0.0.1:80", "10.3.3.3, 10.2.2.2", PROXIES) == "10.3.3.3"


def test_a_forged_or_broken_header_is_not_believed() -> None:
    assert client_address("10.0.0.1:80", "unknown", PROXIES) == "10.0.0.1"
    assert client_address("10.0.0.1:80", "", PROXIES) == "10.0.0.1"
