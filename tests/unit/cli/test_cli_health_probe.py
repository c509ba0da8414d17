"""The containers' health checks: a service by its answer, a worker by its heartbeat."""

import base64
import json
import socket
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest
import redis
from redis.exceptions import ConnectionError as RedisConnectionError

from pems_cli import health_probe


@pytest.fixture
def server():
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response({"/health/ready": 200, "/closed": 401}.get(self.path, 503))
            self.end_headers()

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as httpd:
        thread = Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield httpd.server_address[1]
        httpd.shutdown()
        thread.join()


def test_a_service_is_healthy_when_it_answers_as_wanted(server, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert health_probe.main([str(server)]) == 0
    assert health_probe.main([str(server), "/closed"]) == 1
    assert health_probe.main([str(server), "/closed", "401"]) == 0
    assert health_probe.main([str(server), "/elsewhere"]) == 1


def test_a_service_that_is_not_there_is_not_healthy():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        assert health_probe.main([str(free.getsockname()[1])]) == 1


def _heartbeat(worker: str) -> bytes:
    body = json.dumps({"hostname": worker, "type": "worker-heartbeat"}).encode()
    return json.dumps({"body": base64.b64encode(body).decode(), "headers": {}}).encode()


class _Server:
    """A Redis server that says the given messages, then nothing."""

    def __init__(self, messages):
        self.messages = list(messages)
        self.closed = False

    @contextmanager
    def pubsub(self, **_):
        yield self

    def psubscribe(self, pattern):
        if not self.messages:
            raise RedisConnectionError("away")
        assert pattern == "/*.celeryev/worker.heartbeat"

    def get_message(self, timeout):
        return {"data": self.messages.pop(0)} if self.messages else None

    def close(self):
        self.closed = True


@pytest.fixture
def say(monkeypatch, tmp_path):
    (tmp_path / "password").write_text("geheim\n")
    monkeypatch.setenv("PEMS_REDIS_URL", "redis://pems@redis:6379/0")
    monkeypatch.setenv("PEMS_REDIS_PASSWORD_FILE", str(tmp_path / "password"))

    def arrange(*messages):
        fake = _Server(messages)

        def from_url(url, *, password, **_):
            assert password == "geheim"
            return fake

        monkeypatch.setattr(redis.Redis, "from_url", from_url)
        return fake

    return arrange


def test_a_worker_is_healthy_when_its_own_heartbeat_comes(say):
    fake = say(_heartbeat("plan@elsewhere"), b"no json", _heartbeat(f"plan@{socket.gethostname()}"))
    assert health_probe.main(["celery"]) == 0
    assert fake.closed


def test_a_silent_worker_or_a_server_away_is_not_healthy(say):
    say(_heartbeat("plan@elsewhere"))
    assert not health_probe.worker_healthy(wait_s=0.05)
    say()
    assert not health_probe.worker_healthy(wait_s=0.05)


@pytest.mark.parametrize("message", [b"", b"{}", b'{"body": "x"}', b'{"body": "W10="}', b'{"body": 1}'])
def test_an_odd_message_is_nobodys_heartbeat(message):
    assert health_probe.heartbeat_host(message) == ""
