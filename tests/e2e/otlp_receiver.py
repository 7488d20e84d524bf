"""
An OTLP receiver: a web server that reads traces, metrics and logs as OpenTelemetry's own definitions have them, and
answers as it is told: slowly, not at all, with trouble, or with what is no answer. It can die, and come back.
"""

from __future__ import annotations

import gzip
import socket
import ssl
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

import attrs
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.e2e.ports import free_port

REQUESTS: Final = {
    "/v1/traces": ExportTraceServiceRequest,
    "/v1/metrics": ExportMetricsServiceRequest,
    "/v1/logs": ExportLogsServiceRequest,
}
KIND: Final = "application/x-protobuf"


@attrs.frozen(slots=True)
class Asked:
    """
    A request: its path, header fields in lower case, octets as they came and as they read.
    """

    path: str
    fields: dict[str, str]
    octets: int
    content: bytes


@attrs.frozen(slots=True)
class Scoped:
    """
    One span, metric or log record with the attributes of its resource, and the name of its scope.
    """

    resource: dict[str, Any]
    scope: str
    it: Any


class OtlpReceiver:
    """
    Answers 200 unless told otherwise, and keeps what it took: what is answered otherwise is not kept. `tls`: over
    HTTPS, for localhost.

    `code`, `body`, `fields`: what it answers. `delay`: seconds before it does. `raw`: octets instead of any HTTP, with
    `drip` seconds after each of them, 0.0 for all at once.
    """

    def __init__(self, port: int | None = None, tls: ssl.SSLContext | None = None) -> None:
        self.port = free_port() if port is None else port
        self._tls = tls
        self.code = 200
        self.body = b""
        self.fields: dict[str, str] = {}
        self.raw: bytes | None = None
        self.delay = 0.0
        self.drip = 0.0
        self.asked: list[Asked] = []
        self.faults: list[str] = []
        self._taken: dict[str, list[Any]] = {path: [] for path in REQUESTS}
        self._free = threading.Event()
        self._free.set()
        self._dying = threading.Event()
        self._open: set[socket.socket] = set()
        self._server: ThreadingHTTPServer | None = None
        self._thread: threading.Thread | None = None

    @property
    def endpoint(self) -> str:
        """
        What to write as otlp_endpoint.
        """
        return f"http://127.0.0.1:{self.port}" if self._tls is None else f"https://localhost:{self.port}"

    def start(self) -> None:
        """
        Answer from now on, or again.
        """
        self._dying.clear()
        self._server = _Server(("127.0.0.1", self.port), _answering(self))
        if self._tls is not None:
            self._server.socket = self._tls.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()

    def stop(self) -> None:
        """
        Be gone, and hang up on everybody.
        """
        if self._server is None or self._thread is None:
            return
        self._dying.set()
        self._free.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        for each in list(self._open):
            _hang_up(each)
        self._server = None

    def hang(self) -> None:
        """
        Take requests, and answer none.
        """
        self._free.clear()

    def go_on(self) -> None:
        """
        Answer those that wait, and others.
        """
        self._free.set()

    def refuse(self, code: int, **fields: str) -> None:
        """
        Answer with `code` and such fields as Retry_After="1".
        """
        self.code, self.fields = code, {name.replace("_", "-"): value for name, value in fields.items()}

    def accept(self) -> None:
        """
        Answer 200 again.
        """
        self.code, self.fields, self.body, self.raw, self.delay, self.drip = 200, {}, b"", None, 0.0, 0.0

    @property
    def spans(self) -> list[Any]:
        """
        All spans that came, in their order.
        """
        return [each.it for each in self.scoped_spans]

    @property
    def scoped_spans(self) -> list[Scoped]:
        """
        The same with where they came from.
        """
        return [
            Scoped(attributes(of.resource), scope.scope.name, span)
            for request in list(self._taken["/v1/traces"])
            for of in request.resource_spans
            for scope in of.scope_spans
            for span in scope.spans
        ]

    @property
    def records(self) -> list[Any]:
        """
        All log records that came, in their order.
        """
        return [each.it for each in self.scoped_records]

    @property
    def scoped_records(self) -> list[Scoped]:
        """
        The same with where they came from.
        """
        return [
            Scoped(attributes(of.resource), scope.scope.name, record)
            for request in list(self._taken["/v1/logs"])
            for of in request.resource_logs
            for scope in of.scope_logs
            for record in scope.log_records
        ]

    @property
    def pushes(self) -> list[dict[str, Any]]:
        """
        The metrics of each push, by name.
        """
        return [
            {
                metric.name: metric
                for of in request.resource_metrics
                for scope in of.scope_metrics
                for metric in scope.metrics
            }
            for request in list(self._taken["/v1/metrics"])
        ]

    @property
    def metric_resources(self) -> list[dict[str, Any]]:
        """
        Where the metrics of each push came from.
        """
        return [attributes(of.resource) for each in list(self._taken["/v1/metrics"]) for of in each.resource_metrics]

    def take(self, path: str, fields: Mapping[str, str], content: bytes) -> None:
        """
        Read a request, and keep what it brings if that is what we answer.
        """
        lower = {name.lower(): value for name, value in fields.items()}
        octets = len(content)
        if lower.get("content-encoding") == "gzip":
            content = gzip.decompress(content)
        self.asked.append(Asked(path, lower, octets, content))
        self._dying.wait(self.delay) if self.delay else None
        self._free.wait()
        if path not in REQUESTS or lower.get("content-type") != KIND:
            self.faults.append(f"{path} {lower.get('content-type')}")
            return
        request = REQUESTS[path]()
        try:
            request.ParseFromString(content)
        except DecodeError as error:
            self.faults.append(str(error))
            return
        if self.code == 200 and self.raw is None and not self._dying.is_set():
            self._taken[path].append(request)

    def say(self, octets: bytes, write: Callable[[bytes], object]) -> None:
        """
        Say octets at the pace that we are to keep.
        """
        for nth in range(0, len(octets), 1 if self.drip else max(len(octets), 1)):
            write(octets[nth : nth + 1] if self.drip else octets)
            if self._dying.wait(self.drip):
                return


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def handle_error(self, *_: Any) -> None:
        """
        Say nothing of those who hang up.
        """


def _answering(receiver: OtlpReceiver) -> type[BaseHTTPRequestHandler]:
    class Answering(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            super().setup()
            receiver._open.add(self.connection)

        def finish(self) -> None:
            receiver._open.discard(self.connection)
            super().finish()

        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers["Content-Length"]))
            receiver.take(self.path, dict(self.headers.items()), content)
            if receiver.raw is not None:
                receiver.say(receiver.raw, self.wfile.write)
                self.close_connection = True
                return
            self.send_response(receiver.code)
            for name, value in {"Content-Type": KIND, **receiver.fields}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(receiver.body)))
            self.end_headers()
            self.wfile.write(receiver.body)

        def log_message(self, *_: Any) -> None:
            pass

    return Answering


def _hang_up(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return


def attributes(of: Any) -> dict[str, Any]:
    """
    Read the attributes of a span, an event, a resource, a record or a point.
    """
    return {each.key: _value(each.value) for each in of.attributes}


def _value(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(each) for each in value.array_value.values]
    return None if kind is None else getattr(value, kind)
