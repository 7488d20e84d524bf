"""
A real HTTPS server for MTA-STS policies, on port 443 of an address of loopback: Python's own, with a certificate and an
answer for each name.
"""

from __future__ import annotations

import datetime
import http.server
import os
import random
import ssl
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import attrs
import trustme

from tests.e2e.ports import is_free
from tests.e2e.processes import require

PORT: Final = 443
EXPIRED: Final = "expired"
STRANGER: Final = "stranger"
OTHER_NAME: Final = "other-name"


def policy(mode: str, *mx: str, max_age: str = "86400") -> str:
    """
    Write a policy.
    """
    return "".join(
        f"{line}\n"
        for line in ("version: STSv1", f"mode: {mode}", *(f"mx: {each}" for each in mx), f"max_age: {max_age}")
    )


@attrs.frozen
class Served:
    """
    What a policy host answers.
    """

    body: str
    status: int = 200
    media_type: str = "text/plain"
    headers: Sequence[tuple[str, str]] = ()


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """
        A client that does not like our certificate goes away; that is its right.
        """


class PolicyHosts:
    """
    One server for all; `authority_file` is what whoever should believe its certificates gets as SSL_CERT_FILE. Needs
    root, or the test is skipped. `asked` are the domains whose policies were asked for.
    """

    def __init__(self, folder: Path) -> None:
        require(os.geteuid() == 0, "port 443 can be bound by root only")
        self.asked: list[str] = []
        self.authority = trustme.CA()
        self.authority_file = folder / "policy-ca.pem"
        self.authority.cert_pem.write_to_path(str(self.authority_file))
        self._folder = folder
        self._answers: dict[str, Served] = {}
        self._contexts: dict[str, ssl.SSLContext] = {}
        self.address = free_loopback()
        self._server = _Server((self.address, PORT), _requests(self))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.sni_callback = self._choose
        self.authority.issue_cert("policy-hosts.test").configure_cert(context)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def serve(self, domain: str, served: Served | str, certificate: str = "") -> None:
        """
        Answer for a domain from now on; `certificate` is the flaw of its certificate.
        """
        self._answers[domain] = Served(served) if isinstance(served, str) else served
        self._contexts[f"mta-sts.{domain}"] = self._context(f"mta-sts.{domain}", certificate)

    def stop(self) -> None:
        """
        Be gone; harmless when repeated.
        """
        self._server.shutdown()
        self._server.server_close()

    def answer(self, host: str) -> Served:
        """
        Tell what is to be said to who asks for a host.
        """
        domain = host.removeprefix("mta-sts.")
        self.asked.append(domain)
        return self._answers.get(domain, Served("nothing", 404))

    def _choose(self, connection: ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
        connection.context = self._contexts.get(name or "", connection.context)

    def _context(self, host: str, flaw: str) -> ssl.SSLContext:
        authority = trustme.CA() if flaw == STRANGER else self.authority
        name = "elsewhere.test" if flaw == OTHER_NAME else host
        past = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC) if flaw == EXPIRED else None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(name, not_before=past, not_after=past).configure_cert(context)
        return context


def _requests(hosts: PolicyHosts) -> Any:
    """
    Make what answers one request.
    """

    class Request(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            """
            Answer.
            """
            served = hosts.answer(self.headers["Host"])
            if self.path != "/.well-known/mta-sts.txt":
                served = Served("nothing there", 404)
            body = served.body.encode()
            self.send_response(served.status)
            self.send_header("Content-Type", served.media_type)
            self.send_header("Content-Length", str(len(body)))
            for name, value in served.headers:
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """
            Say nothing.
            """

    return Request


def free_loopback() -> str:
    """
    Find a loopback address whose port for HTTPS is free.
    """
    chance = random.SystemRandom()
    addresses = [f"127.0.{chance.randint(1, 254)}.{chance.randint(1, 254)}" for _ in range(50)]
    return next(address for address in addresses if is_free(address, PORT))
