"""A server for one folder, for this machine alone."""

import contextlib
import errno
import http.server
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

from fdif_jax.errors import EnvironmentFault

HOST = "127.0.0.1"
_NAMES = (HOST, "localhost")


class _Handler(http.server.SimpleHTTPRequestHandler):
    """Files of the folder, to pages that were asked for by this machine's own name.

    Another name that leads here is a page elsewhere that wants to read what lies on this machine.
    """

    def send_head(self) -> Any:
        if self.headers.get("Host", "").split(":")[0] not in _NAMES:
            self.send_error(HTTPStatus.FORBIDDEN)
            return None
        return super().send_head()

    def list_directory(self, path: Any) -> None:
        self.send_error(HTTPStatus.NOT_FOUND)

    def end_headers(self) -> None:
        self.send_header("Cache-Control", "no-cache")
        super().end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # the terminal is for the person
        """Says nothing."""


@contextlib.contextmanager
def server(folder: Path, port: int) -> Iterator[http.server.ThreadingHTTPServer]:
    """A server of the folder at ``port`` of the loopback address; 0 takes a free one.

    Raises:
      EnvironmentFault: the port is taken, or not allowed.
    """

    def handler(*args: Any) -> _Handler:
        return _Handler(*args, directory=str(folder))

    try:
        made = http.server.ThreadingHTTPServer((HOST, port), handler)
    except OSError as error:
        taken = "is in use" if error.errno == errno.EADDRINUSE else f"cannot be used ({error})"
        raise EnvironmentFault(f"port {port} {taken}; choose another --port, or 0.") from error
    with made:
        yield made


def address(made: http.server.ThreadingHTTPServer) -> str:
    """Where a browser finds it."""
    return f"http://{HOST}:{made.server_address[1]}/"
