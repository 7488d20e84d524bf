"""
An OTLP collector: a web server that reads logs as OpenTelemetry's own definitions have them, and answers as it is told.
"""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from google.protobuf import json_format
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest


class Collector:
    """
    Answers with `code` and `body`, after `pause` is set; keeps the log records that it took, and the requests' faults.
    """

    def __init__(self, port: int) -> None:
        self.port = port
        self.code = 200
        self.body = b"{}"
        self.pause = threading.Event()
        self.pause.set()
        self.records: list[Any] = []
        self.resources: list[Any] = []
        self.faults: list[str] = []
        self.asked = 0
        collector = self

        class Answering(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                content = self.rfile.read(int(self.headers["Content-Length"]))
                code, body = collector.take(self.path, self.headers["Content-Type"], content)
                self.send_response(code)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Answering)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})

    def start(self) -> None:
        """
        Answer from now on.
        """
        self._thread.start()

    def stop(self) -> None:
        """
        Be gone.
        """
        self.pause.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def take(self, path: str, kind: str, content: bytes) -> tuple[int, bytes]:
        """
        Read a request, and tell what is answered.
        """
        self.asked += 1
        self.pause.wait()
        if path != "/v1/logs" or kind != "application/json":
            self.faults.append(f"{path} {kind}")
        request = ExportLogsServiceRequest()
        try:
            json_format.Parse(content, request)
        except json_format.ParseError as error:
            self.faults.append(str(error))
        if self.code == 200:
            for resource in request.resource_logs:
                self.resources.append(resource.resource)
                for scope in resource.scope_logs:
                    self.records += scope.log_records
        return self.code, self.body
