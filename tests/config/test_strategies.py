"""
Requirements on how a domain's table says that its mail is delivered.
"""

from __future__ import annotations

import os
from base64 import b64encode
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from empath.config.schema import Domain
from empath.config.values import Refused
from empath.config.web import hook_url
from tests.config.fakes import machine, problems, read

SECRET = "0123456789abcdef"
HOOK = 'strategy = "webhook"\nurl = "https://hooks.example.org/mail?to=a"\n'
ALL = {
    "mx_override": '"h:26"',
    "path": '"p"',
    "url": '"https://h.example"',
    "secret": f'"{SECRET}"',
    "format": '"raw"',
    "headers": '{ a = "b" }',
    "options": "{ a = 1 }",
    "tls": '"implicit"',
    "tls_policy": '"verified"',
    "require_tls": "true",
    "accept_invalid_certs": "false",
    "max_messages": "5",
}


class StrategyTests(SynchronousTestCase):
    """
    [delivery.domains."…"] strategy, and what belongs to it.
    """

    def keys(self, text: str) -> list[str]:
        """
        Tell the keys of what is wrong with a domain's table.
        """
        lines = problems(f'[delivery.domains."*"]\n{text}')
        return [line.partition(": ")[0].removeprefix('delivery.domains."*".') for line in lines]

    def domain(self, text: str, **environ: str) -> Domain:
        """
        Read a domain's table.
        """
        return read(f'[delivery.domains."*"]\n{text}', machine(os.path.abspath("."), **environ)).delivery.domains["*"]

    def test_a_strategy_is_built_in_or_has_a_dotted_name(self) -> None:
        """
        Anything else is refused with all that there are.
        """
        for name in ("mypackage.delivery:Courier", "mypackage.delivery:a.b", "mypackage.courier"):
            self.assertEqual(self.domain(f'strategy = "{name}"\noptions = {{ speed = 3 }}').options, {"speed": 3})
        for wrong in ('"lmpt"', '"SMTP"', '""', "3", '"a b.c"', '"a.b:"', '"a/b:c"', "[]"):
            self.assertEqual(self.keys(f"strategy = {wrong}"), ["strategy"])
        (line,) = problems('[delivery.domains."*"]\nstrategy = "lmpt"')
        self.assertIn('"smtp" | "lmtp" | "webhook" | "maildir" | "file" | "discard", or a dotted name', line)

    def test_nothing_stands_there_that_means_nothing(self) -> None:
        """
        Each strategy takes its own keys, and every one of the limits; another's key is told.
        """
        connection = {"mx_override", "tls", "tls_policy", "require_tls", "accept_invalid_certs", "max_messages"}
        takes = {
            "smtp": (connection, ""),
            "lmtp": (connection, 'mx_override = "h:24"\n'),
            "webhook": ({"secret", "format", "headers"}, 'url = "https://h.example"\n'),
            "maildir": (set(), 'path = "p"\n'),
            "file": (set(), 'path = "p"\n'),
            "discard": (set(), ""),
            "a.b:C": ({"options"}, ""),
        }
        for strategy, (own, needs) in takes.items():
            text = f'strategy = "{strategy}"\nrate_limit = "5/s"\nmax_connections = 2\n{needs}'
            self.assertEqual(self.keys(text), [], strategy)
            for key, value in ALL.items():
                if f"{key} =" not in needs and (strategy, key) != ("lmtp", "path"):
                    self.assertEqual(self.keys(f"{text}{key} = {value}"), [] if key in own else [key], (strategy, key))

    def test_lmtp_goes_to_a_socket_or_to_hosts_with_ports(self) -> None:
        """
        Its port is not 25 (RFC 2033 §5), and it is never looked up; a socket has no TLS, address or login.
        """
        lmtp = 'strategy = "lmtp"\n'
        self.assertEqual(self.keys(lmtp), ["mx_override"])
        for hosts in ('"h:24"', '["[::1]:24", "192.0.2.1:2400"]'):
            self.assertEqual(self.keys(f"{lmtp}mx_override = {hosts}"), [])
        for hosts in ('"h"', '"[::1]"', '["h:24", "192.0.2.1"]', '"h:25"'):
            self.assertEqual(self.keys(f"{lmtp}mx_override = {hosts}"), ["mx_override"])
        self.assertEqual(self.keys(f'{lmtp}path = "socket"\nmax_messages = 3'), [])
        self.assertEqual(self.keys(f'{lmtp}path = "socket"\nmx_override = "h:24"'), ["mx_override"])
        self.assertEqual(self.keys(f'{lmtp}path = "socket"\nrequire_tls = true'), ["require_tls"])
        self.assertEqual(self.keys(f'{lmtp}path = "socket"\nusername = "u"\npassword = "p"'), ["username"])
        login = f'{lmtp}mx_override = "h:24"\nusername = "u"\npassword = "p"'
        self.assertEqual(self.domain(login).tls_policy, "required")

    def test_folders_are_needed(self) -> None:
        """
        By maildirs and by files.
        """
        for strategy in ("maildir", "file"):
            self.assertEqual(self.keys(f'strategy = "{strategy}"'), ["path"])

    def test_hooks_are_reached_by_https(self) -> None:
        """
        Plain HTTP never leaves the machine, and a login stands in no URL.
        """
        self.assertEqual(self.keys('strategy = "webhook"'), ["url"])
        for url in (
            "https://h.example",
            "https://192.0.2.1:8443/a?b=c",
            "https://[2001:db8::1]/",
            "http://localhost:8000/",
            "http://127.0.0.1/x",
            "http://[::1]:80/",
        ):
            self.assertEqual(self.keys(f'strategy = "webhook"\nurl = "{url}"'), [], url)
        for wrong in (
            '"http://h.example/"',
            '"http://192.0.2.1/"',
            '"ftp://h.example"',
            '"https://"',
            '"https:///x"',
            '"https://u:p@h.example/"',
            '"https://u@h.example/"',
            '"https://h.example/#part"',
            '"https://h.example:0/"',
            '"https://h.example:99999/"',
            '"https://h.example:x/"',
            '"https://h example/"',
            '"https://[::1/"',
            '"https://1.2.3/"',
            '"//h.example"',
            '"h.example"',
            '"https://h.example/ü"',
            '"https://h.example/\\n"',
            f'"https://h.example/{"a" * 2000}"',
            "3",
        ):
            self.assertEqual(self.keys(f'strategy = "webhook"\nurl = {wrong}'), ["url"], wrong)

    def test_no_login_in_an_url_is_shown(self) -> None:
        """
        Though it is refused.
        """
        for host in ("h.example", "h example", "[", "h.example:0"):
            line = str(problems(f'[delivery.domains."*"]\nurl = "https://u:hunter2@{host}"\n'))
            self.assertIn(".url: found one with", line)
            self.assertNotIn("hunter2", line)

    def test_no_token_in_an_url_is_shown(self) -> None:
        """
        What stands behind the "?" may be a secret.
        """
        (line,) = problems('[delivery.domains."x"]\nstrategy = "webhook"\nurl = "http://h.example/a?token=hunter2"\n')
        self.assertIn('found "http://h.example/a?…"; allowed', line)

    def test_a_secret_that_is_kept_elsewhere_is_there(self) -> None:
        """
        An environment without it, or an empty file, would have requests unsigned.
        """
        there = Path(os.path.abspath(self.mktemp()))
        there.write_text("\n")
        for where in (f'{{ file = "{there}" }}', '{ env = "EMPTY" }'):
            text = f'[delivery.domains."x"]\n{HOOK}secret = {where}\n'
            (line,) = problems(text, machine(os.path.abspath("."), EMPTY=""))
            self.assertIn("which is empty; allowed: a secret", line)

    @settings(max_examples=100, deadline=None)
    @given(st.text(max_size=20))
    def test_any_text_is_an_url_or_is_refused(self, text: str) -> None:
        """
        And nothing else happens.
        """
        for start in ("", "https://", "http://[", "https://h.example:"):
            try:
                self.assertEqual(hook_url(start + text, machine()), start + text)
            except Refused:
                continue

    def test_a_hooks_headers_may_be_secret(self) -> None:
        """
        Their values stand elsewhere if so wished, and show up nowhere; none can end its line or change the connection.
        """
        there = Path(os.path.abspath(self.mktemp()))
        there.write_text("Bearer hunter2\n")
        domain = self.domain(
            f'{HOOK}headers = {{ Authorization = {{ file = "{there}" }}, x-a = {{ env = "A" }} }}', A="b"
        )
        self.assertEqual(domain.headers, {"authorization": "Bearer hunter2", "x-a": "b"})
        self.assertNotIn("hunter2", repr(domain))
        ours = (
            "Webhook-Signature",
            "webhook-id",
            "webhook-timestamp",
            "X-Empath-Envelope",
            "Expect",
            "Accept-Encoding",
        )
        for name in ours:
            self.assertEqual(self.keys(f'{HOOK}headers = {{ {name} = "a" }}'), [f"headers.{name}"])
        for wrong in ('a = "b\\r\\nc: d"', '"a b" = "c"', '"" = "c"', 'Host = "h"', 'content-length = "3"', 'a = "ü"'):
            (key,) = self.keys(f"{HOOK}headers = {{ {wrong} }}")
            self.assertTrue(key.startswith("headers."), key)
        self.assertEqual(len(self.keys(f'{HOOK}headers = {{ a = "b", A = "c" }}')), 1)

    def test_a_hooks_secret_cannot_be_guessed(self) -> None:
        """
        Where it is given, it has 16 characters; how many it has is told, and no more.
        """
        self.assertEqual(self.keys(f'{HOOK}secret = "{SECRET}"'), [])
        (line,) = problems(f'[delivery.domains."*"]\n{HOOK}secret = "hunter2"')
        self.assertIn("found a secret of 7 characters", line)
        self.assertNotIn("hunter2", line)
        key = b64encode(SECRET.encode()).decode()
        self.assertEqual(self.keys(f'{HOOK}secret = "whsec_{key}"'), [])
        self.assertEqual(self.keys(f'{HOOK}secret = "whsec_{key[:-4]}"'), ["secret"])
        (line,) = problems(f'[delivery.domains."*"]\n{HOOK}secret = "whsec_{key[:-1]}"')
        self.assertIn("whsec_ with something else behind it; allowed: base64 behind whsec_", line)
        self.assertNotIn(key[:8], line)
        self.assertNotIn(SECRET, repr(self.domain(f'{HOOK}secret = "{SECRET}"')))
        self.assertNotIn(SECRET, str(problems(f'[delivery.domains."*"]\nsecret = "{SECRET}"')))
