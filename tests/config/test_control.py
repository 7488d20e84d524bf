"""
Requirements on the keys about the control socket and the audit trail.
"""

from __future__ import annotations

import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.config.fakes import problems, read

HASH = "0123456789abcdef" * 4


class ControlTests(SynchronousTestCase):
    """
    control_socket and [control].
    """

    def test_the_socket_is_a_path_or_none(self) -> None:
        """
        Beside the file, like all paths; "" is none.
        """
        self.assertEqual(read('control_socket = "c.sock"').control_socket, "/etc/empath/c.sock")
        self.assertEqual(read('control_socket = ""').control_socket, "")
        for wrong in ("3", '"a\\u0000"', "true"):
            self.assertEqual(len(problems(f"control_socket = {wrong}")), 1, wrong)

    def test_tokens_have_names_and_hashes(self) -> None:
        """
        Both, each once; a hash that is none is never shown, as it may be the token itself.
        """
        [token] = read(f'[[control.tokens]]\nname = "ops"\nsha256 = "{HASH.upper()}"').control.tokens
        self.assertEqual((token.name, token.sha256), ("ops", HASH))
        paths = {
            'name = "ops"': ["control.tokens[0].sha256"],
            f'sha256 = "{HASH}"': ["control.tokens[0].name"],
            f'name = "a b"\nsha256 = "{HASH}"': ["control.tokens[0].name"],
            'name = "ops"\nsha256 = "secret"': ["control.tokens[0].sha256"],
            f'name = "o"\nsha256 = "{HASH}"\n[[control.tokens]]\nname = "o"\nsha256 = "{"1" * 64}"': [
                "control.tokens[1].name"
            ],
            f'name = "o"\nsha256 = "{HASH}"\n[[control.tokens]]\nname = "p"\nsha256 = "{HASH}"': [
                "control.tokens[1].sha256"
            ],
        }
        for text, expected in paths.items():
            found = problems(f"[[control.tokens]]\n{text}")
            self.assertEqual([line.partition(":")[0] for line in found], expected, text)
            self.assertNotIn("secret", "".join(found))


class AuditTests(SynchronousTestCase):
    """
    [audit] and the tables below it.
    """

    def test_where_syslog_is(self) -> None:
        """
        A socket on this machine, or a transport, a host and a port.
        """
        for good in ("unix:/dev/log", "udp:192.0.2.1:514", "tcp:logs.example.org:601", "tls:[2001:db8::1]:6514"):
            self.assertEqual(read(f'[audit.syslog]\naddress = "{good}"').audit.syslog.address, good)
        for wrong in ("", "unix:log", "udp:192.0.2.1", "http://a:1", "tls:a_b:1", "tcp:[::1]", "tls"):
            self.assertEqual(len(problems(f'[audit.syslog]\naddress = "{wrong}"')), 1, wrong)
        self.assertEqual(len(problems("[audit.syslog]\naddress = 514")), 1)
        self.assertEqual(len(problems('[audit.syslog]\nfacility = "post"')), 1)

    def test_authorities_are_for_tls(self) -> None:
        """
        A file of them means nothing to another transport.
        """
        path = os.path.abspath(self.mktemp())
        Path(path).write_text("")
        self.assertEqual(len(problems(f'[audit.syslog]\nca = "{path}"')), 1)
        self.assertEqual(problems(f'[audit.syslog]\naddress = "tls:logs.example.org:6514"\nca = "{path}"'), [])

    def test_where_the_collector_is(self) -> None:
        """
        An URL without a login, a query or a fragment.
        """
        for good in ("http://localhost:4318", "https://otlp.example.org/in", "http://192.0.2.1:4318"):
            self.assertEqual(read(f'[audit.otlp]\nendpoint = "{good}"').audit.otlp.endpoint, good)
        self.assertEqual(read('[audit.otlp]\nendpoint = "http://a:1/"').audit.otlp.endpoint, "http://a:1")
        for wrong in (
            "",
            "localhost:4318",
            "ftp://a",
            "http://u:secret@a",
            "http://a/?key=secret",
            "http://a#b",
            "http:",
        ):
            found = problems(f'[audit.otlp]\nendpoint = "{wrong}"')
            self.assertEqual(len(found), 1, wrong)
            self.assertNotIn("secret", found[0])
        self.assertEqual(len(problems("[audit.otlp]\nendpoint = 4318")), 1)
        self.assertEqual(len(problems('[audit.otlp]\nendpoint = "http://a:0"')), 1)

    def test_what_needs_the_file_has_it(self) -> None:
        """
        Nothing waits for a record on a disk where no file is written; sinks are given, and each once.
        """
        for key in ("durable = true", 'on_full = "stop"'):
            self.assertEqual(len(problems(f'[audit]\nsinks = ["syslog"]\n{key}')), 1, key)
            self.assertEqual(problems(f'[audit]\nsinks = ["syslog", "file"]\n{key}'), [])
            self.assertEqual(problems(f'[audit]\nenabled = false\nsinks = ["syslog"]\n{key}'), [])
        for wrong in ("[]", '["file", "file"]', '["post"]'):
            self.assertEqual(len(problems(f"[audit]\nsinks = {wrong}")), 1, wrong)
