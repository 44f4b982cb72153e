import http.client
import sys

import psutil
import pytest

from benchmarks.peers.server_process import HOST, ServerProcess
from pipeline.errors import OrstateError

BECOMES_HEALTHY = """
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    asked = 0
    def do_GET(self):
        Handler.asked += 1
        self.send_response(200 if self.path == "/health" and Handler.asked > 2 else 503)
        self.send_header("Content-Length", "0")
        self.end_headers()
port = int(sys.argv[sys.argv.index("--port") + 1])
http.server.HTTPServer((sys.argv[sys.argv.index("--host") + 1], port), Handler).serve_forever()
"""
DIES = "import sys; print('no such model: x.gguf', file=sys.stderr); sys.exit(3)"
NEVER_LISTENS = "import signal; print('loading', flush=True); signal.pause()"


def test_a_server_is_there_once_it_is_healthy_and_gone_once_it_is_stopped() -> None:
    server = ServerProcess([sys.executable, "-c", BECOMES_HEALTHY])
    try:
        connection = http.client.HTTPConnection(HOST, server.port)
        connection.request("GET", "/health")
        assert connection.getresponse().status == 200
        connection.close()
    finally:
        server.stop()
    server.stop()
    assert not psutil.pid_exists(server.pid)


def test_a_server_that_dies_at_its_start_is_told_with_what_it_wrote() -> None:
    with pytest.raises(OrstateError, match=r"(?s)exit code 3; it wrote: no such model: x\.gguf"):
        ServerProcess([sys.executable, "-c", DIES])


def test_a_server_that_never_is_healthy_is_stopped_and_told() -> None:
    with pytest.raises(OrstateError, match=r"not healthy 0\.1 s after its start"):
        ServerProcess([sys.executable, "-c", NEVER_LISTENS], start_s=0.1)
    assert not [c for c in psutil.Process().children() if NEVER_LISTENS in c.cmdline()]


def test_a_program_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(OrstateError, match="no-such-server: cannot be started: No such file or directory"):
        ServerProcess(["no-such-server"])
