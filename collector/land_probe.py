"""Asks the lake's S3 server now and then whether it answers at all, as nobody in particular.

Arrow's client does not give up on Linux (its ``request_timeout`` does nothing there), and a lander with nothing to land
asks nothing: neither would show within 10 s that the server hangs.
"""

import threading

import httpx

EVERY = 3.0
PATIENCE = 5.0
"""Seconds. Both together are less than the 10 s within which `/health/ready` says that something is away."""


class Probe(threading.Thread):
    """At work from ``start`` until :meth:`stop`; it holds nobody up and needs no rights."""

    def __init__(self, endpoint: str) -> None:
        super().__init__(name="lake-probe", daemon=True)
        self._endpoint = endpoint
        self._stop_asked = threading.Event()
        self.trouble: str | None = None
        """Why the server is not to be counted on now."""

    def stop(self) -> None:
        """Ask no more."""
        self._stop_asked.set()

    def run(self) -> None:
        """Ask, and remember what came of it. Each time on a new connection: one that is kept may be what hangs."""
        while not self._stop_asked.is_set():
            self.trouble = _asked(self._endpoint)
            self._stop_asked.wait(EVERY)


def _asked(endpoint: str) -> str | None:
    """Any answer that is no fault of the server will do; who has no rights is told so.

    As Arrow, it goes through no proxy of the environment. Nothing is said that must be kept from others, or believed.
    """
    try:
        status = httpx.head(endpoint, timeout=PATIENCE, trust_env=False, verify=False).status_code  # noqa: S501
    except httpx.TimeoutException:
        return f"S3 has not answered for {PATIENCE:g} s"
    except httpx.TransportError as error:
        return f"S3 is away: {error}"
    return f"S3 answers {status}" if status >= httpx.codes.INTERNAL_SERVER_ERROR else None
