"""A TCP connection between two processes that can be cut, reset, stalled and slowed, and can lose the reply to a word.

Toxiproxy, the usual tool, is a Go program that has to be fetched as one; what is needed of it are these few lines.
"""

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Coroutine
from typing import Any

CHUNK = 65536
HEARD = 0.3
"""Seconds in which a server does what it was asked before the connection is broken."""
Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]]


class Wire:
    """Listens on a port of its own and passes on to ``host``:``port``; made whole, and changed from any thread."""

    def __init__(self, host: str, port: int, *, listen: int = 0) -> None:
        self._target = (host, port)
        self._loop = asyncio.new_event_loop()
        self._flows = asyncio.Event()
        self._flows.set()
        self._whole = True
        self._chunk, self._pause = CHUNK, 0.0
        self._word = b""
        self.lost = 0
        """How many replies were lost so far."""
        self.met = 0
        """How often somebody met with what is broken: connections broken or not taken, data held back or slowed."""
        self._writers: set[asyncio.StreamWriter] = set()
        self._thread = threading.Thread(target=self._loop.run_forever, name="wire", daemon=True)
        self._thread.start()
        self._server = self._do(self._listen(listen))
        self.port: int = self._server.sockets[0].getsockname()[1]

    def cut(self) -> None:
        """Break every connection, take none."""
        self._whole = False
        self.reset()

    def reset(self) -> None:
        """Break every connection as a router does that forgot it: with a reset, in the middle of whatever it was."""
        self._do(self._reset_all())

    def stall(self) -> None:
        """Pass nothing on and break nothing: what is sent waits, as behind a pulled cable."""
        self._soon(self._flows.clear)

    def slow(self, bytes_a_turn: int, seconds: float) -> None:
        """Pass on so many bytes, then wait so long, in either direction."""
        self._chunk, self._pause = bytes_a_turn, seconds

    def lose_reply_to(self, word: bytes) -> None:
        """When a client next says ``word``: let the server hear it and do it, and break the connection then."""
        self._word = word

    def mend(self) -> None:
        """Pass everything on again."""
        self._whole, self._chunk, self._pause, self._word = True, CHUNK, 0.0, b""
        self._soon(self._flows.set)

    def close(self) -> None:
        """Cut for good."""
        self.cut()
        self._soon(self._server.close)
        self._do(self._ended())
        self._soon(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection from a client; ended by whichever side ends first."""
        upstream, onward = await asyncio.open_connection(*self._target)
        self._writers |= {writer, onward}
        deaf = asyncio.Event()
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._ask(reader, onward, writer, deaf))
                both.create_task(self._pump(upstream, writer, deaf))
        finally:
            self._writers -= {writer, onward}
            onward.close()

    async def _listen(self, port: int) -> asyncio.Server:
        return await asyncio.start_server(self._accept, "127.0.0.1", port)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        with contextlib.suppress(OSError, ExceptionGroup):  # broken connections are what this is for
            if self._whole:
                await self.handle(reader, writer)
            else:
                self.met += 1
        self._writers.discard(writer)
        writer.close()

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, deaf: asyncio.Event) -> None:
        while data := await source.read(self._chunk):
            await self._held_up()
            if not deaf.is_set():
                sink.write(data)
                await sink.drain()
        if sink.can_write_eof():
            sink.write_eof()

    async def _ask(
        self,
        source: asyncio.StreamReader,
        sink: asyncio.StreamWriter,
        client: asyncio.StreamWriter,
        deaf: asyncio.Event,
    ) -> None:
        """As :meth:`_pump`, for what the client says: among it may be the word whose reply is to be lost."""
        while data := await source.read(self._chunk):
            await self._held_up()
            if self._word and self._word in data:
                self._word = b""
                deaf.set()
                sink.write(data)
                await sink.drain()
                await asyncio.sleep(HEARD)
                self.lost += 1
                _reset(client)
                return
            sink.write(data)
            await sink.drain()
        if sink.can_write_eof():
            sink.write_eof()

    async def _held_up(self) -> None:
        if not self._flows.is_set():
            self.met += 1
            await self._flows.wait()
        if self._pause:
            self.met += 1
            await asyncio.sleep(self._pause)

    async def _reset_all(self) -> None:
        for writer in list(self._writers):
            self.met += 1
            _reset(writer)

    async def _ended(self) -> None:
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        await asyncio.sleep(0)

    def _do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    def _soon(self, work: Callable[[], Any]) -> None:
        self._loop.call_soon_threadsafe(work)


def _reset(writer: asyncio.StreamWriter) -> None:
    """End a connection with RST instead of FIN (``SO_LINGER`` of 0 seconds)."""
    sock = writer.get_extra_info("socket")
    with contextlib.suppress(OSError):  # it may have ended by itself
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
