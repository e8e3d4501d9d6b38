"""A server for one folder, for this machine alone."""

import contextlib
import errno
import http.server
import sys
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
        try:
            return super().send_head()
        except ValueError:  # no file can have that name
            self.send_error(HTTPStatus.NOT_FOUND)
            return None

    def list_directory(self, path: Any) -> None:
        self.send_error(HTTPStatus.NOT_FOUND)

    def end_headers(self) -> None:
        self.send_header("Cache-Control", "no-cache")
        super().end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # the terminal is for the person
        """Says nothing."""


class _Server(http.server.ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Says nothing of browsers that hang up, as they do when another sample is opened."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


@contextlib.contextmanager
def server(folder: Path, port: int) -> Iterator[http.server.ThreadingHTTPServer]:
    """A server of the folder at ``port`` of the loopback address; 0 takes a free one.

    Raises:
      EnvironmentFault: the port is taken, or not allowed.
    """

    def handler(*args: Any) -> _Handler:
        return _Handler(*args, directory=str(folder))

    try:
        made = _Server((HOST, port), handler)
    except OSError as error:
        taken = "is in use" if error.errno == errno.EADDRINUSE else f"cannot be used ({error})"
        raise EnvironmentFault(f"port {port} {taken}; choose another --port, or 0.") from error
    with made:
        yield made


def address(made: http.server.ThreadingHTTPServer) -> str:
    """Where a browser finds it."""
    return f"http://{HOST}:{made.server_address[1]}/"
