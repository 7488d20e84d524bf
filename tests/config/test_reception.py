"""
Requirements on what listeners, their TLS and their logins need of one another.
"""

from __future__ import annotations

import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from empath.config.schema import Listener
from empath.config.units import NO_LIMIT, Rate
from tests.config.fakes import problems, read

TLS = 'tls = "starttls"\ncertificate = "{file}"\nprivate_key = "{file}"\n'
SUBMISSION = 'kind = "submission"\nendpoint = "tcp:587"\n'
LOCAL = 'kind = "submission"\nendpoint = "tcp:587:interface=127.0.0.1"\n'


class ListenerCase(SynchronousTestCase):
    """
    One listener, on a machine with a file that can be read.
    """

    def setUp(self) -> None:
        self.file = os.path.abspath(self.mktemp())
        Path(self.file).write_text("")
        self.users = f'[auth]\nusers = "{self.file}"\n'

    def wrong(self, text: str, auth: str = "") -> list[str]:
        """
        Tell the keys of what is wrong with a listener, those of other sections with their path.
        """
        found = problems(f"{auth}\n[[smtp.listeners]]\n{text}".replace("{file}", self.file))
        return [line.partition(": ")[0].removeprefix("smtp.listeners[0].") for line in found]

    def listener(self, text: str) -> Listener:
        """
        Read a listener, where there are users.
        """
        return read(f"{self.users}\n[[smtp.listeners]]\n{text}".replace("{file}", self.file)).smtp.listeners[0]


class TlsKeyTests(ListenerCase):
    """
    TLS and what it needs.
    """

    def test_tls_needs_a_certificate_and_its_key(self) -> None:
        """
        Both, and both of each further certificate.
        """
        self.assertEqual(self.wrong(TLS), [])
        self.assertEqual(self.wrong('tls = "starttls"'), ["certificate", "private_key"])
        self.assertEqual(self.wrong('tls = "implicit"\ncertificate = "{file}"'), ["private_key"])
        self.assertEqual(
            self.wrong(TLS + 'certificates = [{ certificate = "{file}" }]'), ["certificates[0].private_key"]
        )

    def test_a_file_has_to_be_there(self) -> None:
        """
        One that cannot be read is one error, not also a missing one.
        """
        for path in ("/nonexistent/x", "/", "a\\u0000b"):
            text = f'tls = "implicit"\nprivate_key = "{{file}}"\ncertificate = "{path}"'
            self.assertEqual(self.wrong(text), ["certificate"], path)
            text = TLS + f'certificates = [{{ certificate = "{path}", private_key = "{{file}}" }}]'
            self.assertEqual(self.wrong(text), ["certificates[0].certificate"], path)

    def test_a_pipe_does_not_keep_the_start_waiting(self) -> None:
        """
        Opening one to which nobody writes would block.
        """
        pipe = f"{self.file}.pipe"
        os.mkfifo(pipe)
        self.assertEqual(self.wrong(TLS + f'client_ca = "{pipe}"'), [])

    def test_what_is_for_tls_only_needs_it(self) -> None:
        """
        A certificate that nobody would ever see is a mistake.
        """
        names = ("certificate", "private_key", "client_ca")
        self.assertEqual(self.wrong("\n".join(f'{name} = "{{file}}"' for name in names)), list(names))
        pair = 'certificates = [{ certificate = "{file}", private_key = "{file}" }]'
        self.assertEqual(self.wrong(pair), ["certificates"])

    def test_an_unusable_choice_of_tls_is_one_error(self) -> None:
        """
        What only follows from it is not told.
        """
        self.assertEqual(self.wrong('tls = "ssl3"\ncertificate = "{file}"\nprivate_key = "{file}"'), ["tls"])

    def test_endpoints_that_hide_the_client_are_refused(self) -> None:
        """
        Twisted's own wrappers for TLS and PROXY tell us too little.
        """
        self.assertEqual(self.wrong('endpoint = "ssl:465"'), ["endpoint"])
        self.assertEqual(len(self.wrong('endpoint = "haproxy:tcp:25"')), 1)


class LoginKeyTests(ListenerCase):
    """
    Logins: who needs them, where they are from, and how they travel.
    """

    def test_submission_means_that_a_login_is_needed(self) -> None:
        """
        It need not be said, and cannot be denied.
        """
        self.assertEqual(self.listener(SUBMISSION + TLS).auth, "required")
        self.assertEqual(self.listener(SUBMISSION + TLS + "auth = true").auth, "required")
        self.assertEqual(self.wrong(SUBMISSION + TLS + "auth = false", self.users), ["auth"])
        self.assertFalse(self.listener("").auth)

    def test_logins_are_known_from_somewhere(self) -> None:
        """
        From a file, or from an authenticator, and not from both.
        """
        self.assertEqual(self.wrong(SUBMISSION + TLS), ["kind"])
        self.assertEqual(self.wrong(TLS + "auth = true"), ["auth"])
        self.assertEqual(self.wrong(SUBMISSION + TLS, 'auth.authenticator = "package.logins:Directory"'), [])
        self.assertEqual(self.wrong("", f'{self.users}authenticator = "a:b"'), ["auth.authenticator"])
        self.assertEqual(self.wrong("", 'auth.authenticator = "logins.Directory"'), ["auth.authenticator"])
        self.assertEqual(self.wrong("", 'auth.senders = "{file}"'), ["auth.senders"])
        self.assertEqual(self.wrong("", self.users + 'senders = "{file}"'), [])

    def test_a_users_file_that_cannot_be_read_is_one_error(self) -> None:
        """
        The listeners that need it are not blamed.
        """
        self.assertEqual(self.wrong(SUBMISSION + TLS, 'auth.users = "/nonexistent"'), ["auth.users"])

    def test_submission_without_tls_stays_on_the_machine(self) -> None:
        """
        Loopback and UNIX sockets: there passwords are taken in the clear.
        """
        for endpoint in (
            "tcp:587:interface=127.0.0.1",
            "tcp:587:127.0.0.1",
            "tcp6:587:interface=\\\\:\\\\:1",
            "tcp:587:interface=localhost",
            "unix:/run/submission.sock",
        ):
            listener = self.listener(f'kind = "submission"\nendpoint = "{endpoint}"')
            self.assertTrue(listener.auth_cleartext, endpoint)
        for endpoint in ("tcp:587", "tcp:587:interface=192.0.2.1", "tcp6:587", "systemd:domain=INET:index=0"):
            self.assertEqual(self.wrong(f'kind = "submission"\nendpoint = "{endpoint}"', self.users), ["tls"], endpoint)

    def test_submitters_from_elsewhere_never_send_passwords_in_the_clear(self) -> None:
        """
        Not even where the operator asks for it.
        """
        self.assertEqual(self.wrong(SUBMISSION + TLS + "auth_cleartext = true", self.users), ["auth_cleartext"])
        self.assertEqual(self.wrong(LOCAL + TLS + "auth_cleartext = true", self.users), [])
        self.assertFalse(self.listener(LOCAL + TLS).auth_cleartext)

    def test_auth_that_would_never_be_offered_is_a_mistake(self) -> None:
        """
        Without TLS it takes the operator's word.
        """
        self.assertEqual(self.wrong("auth = true", self.users), ["tls"])
        self.assertEqual(self.wrong("auth = true\nauth_cleartext = true", self.users), [])
        self.assertEqual(self.wrong("auth_cleartext = true", self.users), ["auth_cleartext"])
        implicit = TLS.replace("starttls", "implicit") + "auth = true\nauth_cleartext = true"
        self.assertEqual(self.wrong(implicit, self.users), ["auth_cleartext"])


class LmtpKeyTests(ListenerCase):
    """
    LMTP listeners.
    """

    def test_lmtp_is_never_on_port_25(self) -> None:
        """
        RFC 2033 §5, however the port is written.
        """
        for endpoint in ("tcp:25", "tcp:port=25", "tcp6:025:interface=\\\\:\\\\:1"):
            self.assertEqual(self.wrong(f'kind = "lmtp"\nendpoint = "{endpoint}"'), ["endpoint"], endpoint)
        self.assertEqual(self.wrong('kind = "lmtp"\nendpoint = "tcp:24"'), [])
        self.assertEqual(self.wrong('kind = "lmtp"\nendpoint = "unix:/run/25"'), [])

    def test_nobody_logs_in_by_lmtp(self) -> None:
        """
        Who may connect may deliver.
        """
        text = 'kind = "lmtp"\nendpoint = "tcp:24"\nauth = "required"\nauth_cleartext = true'
        self.assertEqual(self.wrong(text, self.users), ["auth", "auth_cleartext"])


class EdgeKeyTests(SynchronousTestCase):
    """
    Who may speak for others, and how often clients may come.
    """

    def test_proxies_and_xclient_are_networks(self) -> None:
        """
        Or "unix"; never so wide that the Internet would be trusted.
        """
        smtp = read('[smtp]\nproxies = ["192.0.2.10", "unix"]\nxclient = ["2001:db8::/32"]').smtp
        self.assertEqual((smtp.proxies, smtp.xclient), (("192.0.2.10/32", "unix"), ("2001:db8::/32",)))
        for wrong in ("haproxy.example.org", "0.0.0.0/0", "192.0.2.1/24", ""):
            self.assertEqual(len(problems(f'[smtp]\nproxies = ["{wrong}"]\nxclient = ["{wrong}"]')), 2, wrong)

    def test_rates_are_counts_in_a_time(self) -> None:
        """
        "10/s", "100/min", "5000/h", or 0.
        """
        for written, found in (
            ('"10/s"', Rate(10, 1)),
            ('"100/min"', Rate(100, 60)),
            ('"5000/h"', Rate(5000, 3600)),
            ("0", NO_LIMIT),
        ):
            smtp = read(f"[smtp]\nmax_connection_rate_per_client = {written}").smtp
            self.assertEqual(smtp.max_connection_rate_per_client, found)
        for wrong in ('"0/s"', '"10/d"', '"10"', "10", "false", '"-1/s"', '"1.5/s"', '"10 / s"'):
            self.assertEqual(len(problems(f"[smtp]\nmax_connection_rate_per_client = {wrong}")), 1, wrong)
