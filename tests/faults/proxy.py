"""T8: a TCP proxy between worker and server that cuts one way, delays, or resets in the middle of a body."""

import socket
import struct
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, replace

CHUNK = 4_096


@dataclass(frozen=True)
class Weather:
    """What happens to bytes. `up` is towards the server. A reset comes after so many bytes of one direction."""

    up: bool = True
    down: bool = True
    delay_seconds: float = 0.0
    reset_up_after: int | None = None
    reset_down_after: int | None = None


FAIR = Weather()


class Proxy:
    """Listens on `port` and forwards to `target_port`, in whatever weather is set at the moment."""

    def __init__(self, target_port: int) -> None:
        self._target = target_port
        self.weather = FAIR
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = int(self._listener.getsockname()[1])
        self._open: set[socket.socket] = set()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()
        for one in list(self._open):
            with suppress(OSError):
                one.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                client.close()
                continue
            self._open |= {client, server}
            for source, sink, up in ((client, server, True), (server, client, False)):
                threading.Thread(target=self._pump, args=(source, sink, up), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, up: bool) -> None:
        passed = 0
        with suppress(OSError):
            while data := source.recv(CHUNK):
                weather = self.weather
                time.sleep(weather.delay_seconds)
                limit = weather.reset_up_after if up else weather.reset_down_after
                if limit is not None and passed + len(data) > limit:
                    sink.sendall(data[: max(0, limit - passed)])
                    # One reset; the weather may have cleared up meanwhile.
                    self.weather = replace(self.weather, reset_up_after=None, reset_down_after=None)
                    _reset(source)
                    _reset(sink)
                    return
                passed += len(data)
                if weather.up if up else weather.down:
                    sink.sendall(data)
        for one in (source, sink):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)


def _reset(one: socket.socket) -> None:
    """Close with RST instead of FIN."""
    with suppress(OSError):
        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        one.close()
