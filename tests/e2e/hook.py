"""
An application that takes mail by webhook: a real web server over TLS, which checks signatures as its author would.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.server
import ssl
import threading
from collections.abc import Callable
from typing import Any

import attrs
import trustme

HOST = "127.0.0.22"
Answer = tuple[int, dict[str, str], bytes]


@attrs.frozen
class Request:
    """
    What came: fields by their names in lower case; `signed` tells whether the signature is right.
    """

    fields: dict[str, str]
    body: bytes
    signed: bool


class Hook:
    """
    Answers with what `answers` tells, by default that it has the mail; `connections` counts them.
    """

    def __init__(self, authority: trustme.CA | None, port: int, secret: str) -> None:
        self.port = port
        self.secret = secret
        self.requests: list[Request] = []
        self.connections = 0
        self.answers: Callable[[Request], Answer | None] = lambda _: (200, {}, b"")
        self._server = http.server.ThreadingHTTPServer((HOST if authority else "127.0.0.1", port), _speaking(self))
        if authority is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            authority.issue_cert("hooks.one.test").configure_cert(context)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def signed(self, fields: dict[str, str], body: bytes) -> bool:
        """
        Check a signature (Standard Webhooks).
        """
        said = f"{fields['webhook-id']}.{fields['webhook-timestamp']}.".encode() + body
        mac = hmac.new(self.secret.encode(), said, hashlib.sha256).digest()
        return hmac.compare_digest(fields.get("webhook-signature", ""), f"v1,{base64.b64encode(mac).decode()}")

    def stop(self) -> None:
        """
        Be gone.
        """
        self._server.shutdown()
        self._server.server_close()


def _speaking(hook: Hook) -> Any:
    class Speaking(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def setup(self) -> None:
            """
            Count a connection.
            """
            super().setup()
            hook.connections += 1

        def do_POST(self) -> None:
            """
            Take a mail.
            """
            body = self.rfile.read(int(self.headers["Content-Length"]))
            fields = {name.lower(): value for name, value in self.headers.items()}
            request = Request(fields, body, hook.signed(fields, body))
            hook.requests.append(request)
            answer = hook.answers(request)
            if answer is None:
                self.close_connection = True
                return
            code, more, content = answer
            self.send_response(code)
            for name, value in {**more, "Content-Length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:
            """
            Say nothing.
            """

    return Speaking
