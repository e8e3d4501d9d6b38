"""The server of a page: for this machine, by its own name, and for the page's folder alone."""

import http.client
import socket
import struct
import threading
import time

import pytest

from fdif_jax.errors import EnvironmentFault
from fdif_jax.view.serve import HOST, address, server


@pytest.fixture
def port(tmp_path):
    (tmp_path / "page/inner").mkdir(parents=True)
    (tmp_path / "page/index.html").write_text("the page")
    (tmp_path / "secret.txt").write_text("secret")
    with server(tmp_path / "page", 0) as made:
        thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield made.server_address[1]
        made.shutdown()
        thread.join()


def ask(port, path="/", host=None):
    connection = http.client.HTTPConnection(HOST, port, timeout=10)
    try:
        connection.request("GET", path, headers={} if host is None else {"Host": host})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


@pytest.mark.parametrize("host", [None, "localhost:80", "127.0.0.1"])
def test_the_page_is_served(port, host):
    assert ask(port, host=host) == (200, "the page")


@pytest.mark.parametrize(
    ("path", "host", "status"),
    [
        pytest.param("/", "elsewhere.example", 403, id="another-name-that-leads-here"),
        pytest.param("/../secret.txt", None, 404, id="above"),
        pytest.param("/inner/", None, 404, id="a-listing"),
        pytest.param("/none.js", None, 404, id="missing"),
        pytest.param("/%2e%2e/secret.txt", None, 404, id="above-in-other-letters"),
        pytest.param("/no%00name", None, 404, id="no-name"),
    ],
)
def test_nothing_else_is(port, path, host, status):
    found, text = ask(port, path, host)
    assert found == status
    assert "secret" not in text


def test_browsers_that_hang_up_are_no_news(port, tmp_path, capfd):
    (tmp_path / "page/large").write_bytes(bytes(30_000_000))
    with socket.create_connection((HOST, port)) as browser:
        browser.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        browser.sendall(b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n")
        browser.recv(10)
    assert ask(port) == (200, "the page")
    time.sleep(0.1)
    assert capfd.readouterr().err == ""


def test_a_port_that_is_taken_is_named(port, tmp_path):
    said = f"port {port} is in use; choose another --port"
    with pytest.raises(EnvironmentFault, match=said), server(tmp_path, port):
        pass


def test_the_address_is_of_this_machine(tmp_path):
    with server(tmp_path, 0) as made:
        assert address(made) == f"http://127.0.0.1:{made.server_address[1]}/"
