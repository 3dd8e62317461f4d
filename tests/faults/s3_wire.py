"""A wire to an S3 server that can also answer in its place: with 500, with 503, or with half an answer and a reset."""

import asyncio

import h11

from tests.faults.wire import CHUNK, Wire, _reset

NAMES = {500: "InternalError", 503: "SlowDown"}
HALF = 40
"""Bytes of an answer that is broken off."""


class S3Wire(Wire):
    """Faults are by connection: those that were open when one began are broken, as behind a proxy that is replaced."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__(host, port)
        self._status: int | None = None
        self._break = False
        self.answered = 0
        """How many requests this wire answered, or broke, in the server's place."""

    def answer(self, status: int) -> None:
        """Answer every request with ``status``, once its body is here."""
        self._status = status
        self.reset()

    def break_answers(self) -> None:
        """Let the server do what it is asked, pass on the beginning of its answer, and reset the connection."""
        self._break = True
        self.reset()

    def mend(self) -> None:
        """Pass everything on again."""
        self._status, self._break = None, False
        super().mend()

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        if self._status is not None:
            await self._answer(reader, writer, self._status)
        elif self._break:
            await self._half(reader, writer)
        else:
            await super().handle(reader, writer)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, status: int) -> None:
        parser = h11.Connection(h11.SERVER)
        asked: list[h11.Request] = []
        while True:
            event = parser.next_event()
            if event is h11.NEED_DATA:
                if parser.they_are_waiting_for_100_continue:
                    writer.write(parser.send(h11.InformationalResponse(status_code=100, headers=[])) or b"")
                parser.receive_data(await reader.read(CHUNK))
            elif isinstance(event, h11.Request):
                asked.append(event)
            elif isinstance(event, h11.EndOfMessage):
                break
            elif isinstance(event, h11.ConnectionClosed):
                return
        body = f"<Error><Code>{NAMES[status]}</Code><Message>made by a test</Message></Error>".encode()
        headers = [("Content-Type", "application/xml"), ("Content-Length", str(len(body))), ("Connection", "close")]
        # To HEAD the same answer, but for the body.
        said = [] if asked[0].method == b"HEAD" else [h11.Data(data=body)]
        for part in (h11.Response(status_code=status, headers=headers), *said, h11.EndOfMessage()):
            writer.write(parser.send(part) or b"")
        self.answered += 1
        self.met += 1
        await writer.drain()

    async def _half(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream, onward = await asyncio.open_connection(*self._target)
        asking = asyncio.create_task(self._pump(reader, onward, asyncio.Event()))
        try:
            writer.write(await upstream.read(HALF))
            await writer.drain()
            self.answered += 1
            self.met += 1
        finally:
            asking.cancel()
            onward.close()
            _reset(writer)
