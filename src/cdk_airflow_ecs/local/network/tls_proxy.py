"""TLS proxy for a server without TLS, with only the standard library.

Usage: ``python -IS tls_proxy.py`` with one JSON object on standard input: listen, certificate, key, backend, protocol.
PostgreSQL clients first send a plain-text request for TLS; Redis clients start with TLS.
"""

from __future__ import annotations

import asyncio
import json
import signal
import ssl
import sys
from typing import Any

# "SSLRequest" and "GSSENCRequest" (PostgreSQL documentation, "Message Formats").
_TLS_PLEASE = b"\x00\x00\x00\x08\x04\xd2\x16\x2f"
_GSS_PLEASE = b"\x00\x00\x00\x08\x04\xd2\x16\x30"
# Error response to a plain-text startup message.
_REFUSED = b"SFATAL\x00C28000\x00Mthis server accepts only TLS\x00\x00"


class _Pipe(asyncio.Protocol):
    """Copies received data to the other side of the proxy, with flow control."""

    def __init__(self) -> None:
        self.transport: Any = None
        self.peer: _Pipe | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        if self.peer is not None and self.peer.transport is not None:
            self.peer.transport.write(data)

    def pause_writing(self) -> None:
        if self.peer is not None and self.peer.transport is not None:
            self.peer.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.peer is not None and self.peer.transport is not None:
            self.peer.transport.resume_reading()

    def connection_lost(self, error: Exception | None) -> None:
        del error
        if self.peer is not None and self.peer.transport is not None:
            self.peer.transport.close()


class _Greeting(asyncio.Protocol):
    def __init__(self, accept: Any) -> None:
        self._accept = accept
        self._said = b""
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._said += data
        if len(self._said) < len(_TLS_PLEASE):
            return
        if self._said == _GSS_PLEASE:
            self._said = b""
            self._transport.write(b"N")
        elif self._said == _TLS_PLEASE:
            # Leave the client's TLS handshake to the TLS transport.
            self._transport.pause_reading()
            self._transport.write(b"S")
            self._accept(self._transport, self)
        else:
            self._transport.write(b"E" + (4 + len(_REFUSED)).to_bytes(4, "big") + _REFUSED)
            self._transport.close()


async def _serve(told: dict[str, Any]) -> None:
    loop = asyncio.get_running_loop()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(told["certificate"], told["key"])
    tasks: set[asyncio.Task[None]] = set()

    async def connect(transport: Any, greeting: _Greeting | None) -> None:
        client, server = _Pipe(), _Pipe()
        client.peer, server.peer = server, client
        try:
            if isinstance(told["backend"], str):
                await loop.create_unix_connection(lambda: server, told["backend"])
            else:
                await loop.create_connection(lambda: server, *told["backend"])
            if greeting is not None:
                transport.set_protocol(client)
                secure = await loop.start_tls(transport, client, context, server_side=True)
                client.transport = secure
        except OSError:
            transport.close()
            if server.transport is not None:
                server.transport.close()

    def begin(transport: Any, greeting: _Greeting | None) -> None:
        task = loop.create_task(connect(transport, greeting))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    host, port = told["listen"]
    if told["protocol"] == "postgres":
        await loop.create_server(lambda: _Greeting(begin), host, port)
    else:
        await loop.create_server(lambda: _Direct(loop, told["backend"]), host, port, ssl=context)
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    await stopped.wait()


class _Direct(_Pipe):
    """A client with established TLS; its data is read only after the backend is connected."""

    def __init__(self, loop: asyncio.AbstractEventLoop, backend: Any) -> None:
        super().__init__()
        self._loop, self._backend = loop, backend
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.transport.pause_reading()
        self._task = self._loop.create_task(self._connect())

    async def _connect(self) -> None:
        server = _Pipe()
        server.peer = self
        try:
            if isinstance(self._backend, str):
                await self._loop.create_unix_connection(lambda: server, self._backend)
            else:
                await self._loop.create_connection(lambda: server, *self._backend)
        except OSError:
            self.transport.close()
            return
        self.peer = server
        self.transport.resume_reading()


if __name__ == "__main__":
    asyncio.run(_serve(json.load(sys.stdin)))
