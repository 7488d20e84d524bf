"""
Reports about TLS (RFC 8460): what the real program counted of one day reaches whoever the domain names.
"""

from __future__ import annotations

import gzip
import http.server
import json
import sqlite3
import ssl
import threading
import time
from email.message import EmailMessage
from typing import Any, cast

import trustme

from tests.e2e.dns_lab import DnsLab
from tests.e2e.harness import EndToEndTestCase
from tests.e2e.ports import free_port
from tests.e2e.processes import wait_until
from tests.e2e.program import Empath
from tests.e2e.serving import YOU, parsed
from tests.e2e.storing_session import Options

DAY = 86400
HOST, REPORTS = "127.0.0.21", "127.0.0.22"


class Collector:
    """
    A web server that takes reports, once it has refused the first so many.
    """

    def __init__(self, authority: trustme.CA, refusals: int = 0) -> None:
        self.port = free_port(REPORTS)
        self.came: list[tuple[str, bytes]] = []
        self.refusals = refusals
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("reports.one.test").configure_cert(context)
        self._server = http.server.ThreadingHTTPServer((REPORTS, self.port), _requests(self))
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        """
        Be gone.
        """
        self._server.shutdown()
        self._server.server_close()


def _requests(collector: Collector) -> Any:
    class Request(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            """
            Take a report.
            """
            content = self.rfile.read(int(self.headers["Content-Length"]))
            collector.came.append((self.headers["Content-Type"], content))
            self.send_response(200 if len(collector.came) > collector.refusals else 503)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """
            Say nothing.
            """

    return Request


class ReportTests(EndToEndTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.authority = trustme.CA()
        trusted = self.folder / "ca.pem"
        self.authority.cert_pem.write_to_path(str(trusted))
        self.environment = {"SSL_CERT_FILE": str(trusted)}
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.authority.issue_cert("mx1.one.test").configure_cert(context)
        self.hop = self.peer(HOST, Options(context=context))
        self.collector = Collector(self.authority)
        self.addCleanup(self.collector.stop)

    def started(self, rua: str, **settings: Any) -> Empath:
        """
        Start empath where one.test has reports sent to these.
        """
        lab = DnsLab(self.folder / "dns")
        self.addCleanup(lab.stop)
        zone = lab.zone("one.test")
        zone.mail(HOST)
        zone.add(f"reports A {REPORTS}").text("_smtp._tls", f"v=TLSRPTv1; rua={rua}")
        zone.tlsa("mx1", self.peer_port, 3, 1, 1, bytes(32))
        lab.serve()
        who = {"organization": "Origin", "contact": "me@origin.test", "sender": "tls-reports@origin.test"}
        delivery = {
            "port": self.peer_port,
            "allow_private_mx": True,
            "dns": {"servers": [lab.server], "dnssec": "trust-ad"},
            "tls_rpt": who,
            **settings,
        }
        empath = self.empath({"delivery": delivery}, environment=self.environment)
        empath.start()
        return empath

    def two_days_later(self, empath: Empath) -> None:
        """
        Let what was counted be two days old when empath starts again: its report is due.
        """
        empath.stop()
        [file] = empath.folder.rglob("storage.sqlite")
        now = int(time.time())
        today = now // DAY * DAY
        with sqlite3.connect(file) as storage:
            for (key,) in storage.execute("SELECT key FROM item WHERE module = '.tls-rpt'").fetchall():
                began, _, domain = key.partition(" ")
                later = f"{min(int(began), today - 2 * DAY)} {domain}"
                value = json.loads(storage.execute("SELECT value FROM item WHERE key = ?", (key,)).fetchone()[0])
                text = json.dumps([*value[:-1], now - 60.0])
                storage.execute("UPDATE item SET key = ?, value = ? WHERE key = ?", (later, text, key))
        storage.close()
        empath.start()

    def told(self, content: bytes) -> dict[str, Any]:
        """
        Read a report.
        """
        return cast("dict[str, Any]", json.loads(gzip.decompress(content)))

    def test_by_mail_and_https(self) -> None:
        """
        What was counted, in both ways, and once: mail in spite of a certificate that TLSA records do not vouch for.
        """
        rua = f"mailto:tls@one.test,https://reports.one.test:{self.collector.port}/v1"
        empath = self.started(rua, tls={"default_policy": "dane"})
        queue_id = self.send(empath, [YOU])
        empath.wait_logged(queue_id, "status=deferred")
        self.two_days_later(empath)
        wait_until("posted", lambda: bool(self.collector.came))
        mail = parsed(self.wait_arrived(self.hop, "tls@one.test"))
        self.assertEqual(mail["TLS-Report-Domain"], "one.test")
        _, part = cast("list[EmailMessage]", list(mail.iter_parts()))
        kind, posted = self.collector.came[0]
        self.assertEqual(kind, "application/tlsrpt+gzip")
        self.assertEqual(part.get_payload(decode=True), posted)
        [policy] = self.told(posted)["policies"]
        self.assertEqual((policy["policy"]["policy-type"], policy["policy"]["policy-domain"]), ("tlsa", "one.test"))
        self.assertEqual(policy["summary"]["total-failure-session-count"], 1)
        [failure] = policy["failure-details"]
        self.assertEqual((failure["receiving-mx-hostname"], failure["receiving-ip"]), ("mx1.one.test", HOST))

    def test_successes_are_told(self) -> None:
        empath = self.started(f"https://reports.one.test:{self.collector.port}/,mailto:tls@one.test")
        self.send(empath, [YOU])
        self.wait_arrived(self.hop, YOU)
        self.two_days_later(empath)
        wait_until("posted", lambda: bool(self.collector.came))
        [policy] = self.told(self.collector.came[0][1])["policies"]
        self.assertEqual(policy["policy"]["policy-type"], "no-policy-found")
        self.assertEqual(policy["summary"]["total-successful-session-count"], 1)
        self.wait_arrived(self.hop, "tls@one.test")
        self.assert_nothing_is_left(empath)

    def test_who_does_not_take_it_is_asked_again(self) -> None:
        self.collector.refusals = 1
        empath = self.started(f"https://reports.one.test:{self.collector.port}/")
        self.send(empath, [YOU])
        self.wait_arrived(self.hop, YOU)
        self.two_days_later(empath)
        empath.wait_logged("TLS report about one.test waits", "the answer is 503")
        self.two_days_later(empath)
        wait_until("posted", lambda: len(self.collector.came) == 2)
        self.assertEqual(self.collector.came[0], self.collector.came[1])

    def assert_nothing_is_left(self, empath: Empath) -> None:
        """
        What was reported is forgotten, and the mail that brought it is nothing to report.
        """
        empath.stop()
        [file] = empath.folder.rglob("storage.sqlite")
        with sqlite3.connect(file) as storage:
            keys = [key for (key,) in storage.execute("SELECT key FROM item WHERE module = '.tls-rpt'")]
        storage.close()
        self.assertEqual(keys, [])
