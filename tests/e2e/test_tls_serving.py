"""
Our TLS as others find it: sslyze from PyPI, and Python's ssl for what changes while empath runs.
"""

from __future__ import annotations

import os
import smtplib
import socket
import ssl
from pathlib import Path
from typing import Any, Final

from cryptography import x509

from tests.e2e.clients import sslyze
from tests.e2e.harness import SENDER, message
from tests.e2e.processes import wait_until
from tests.e2e.program import HOSTNAME, Empath
from tests.e2e.serving import OTHER_NAME, ServingCase

SCANS: Final = (
    *("--sslv2", "--sslv3", "--tlsv1", "--tlsv1_1", "--tlsv1_2", "--tlsv1_3", "--certinfo", "--compression"),
    *(
        "--heartbleed",
        "--openssl_ccs",
        "--fallback",
        "--reneg",
        "--robot",
        "--elliptic_curves",
        "--ems",
        "--early_data",
    ),
)
OLD: Final = ("ssl_2_0", "ssl_3_0", "tls_1_0", "tls_1_1")
WEAK: Final = ("RC4", "3DES", "NULL", "EXPORT", "anon", "CBC", "MD5", "_SHA ", "TLS_RSA_WITH")


def names(der: bytes) -> list[str]:
    """
    The host names that a certificate is for.
    """
    extension = x509.load_der_x509_certificate(der).extensions.get_extension_for_class(x509.SubjectAlternativeName)
    return extension.value.get_values_for_type(x509.DNSName)


class ScannedTests(ServingCase):
    """
    sslyze against STARTTLS and against TLS from the first byte.
    """

    def scan(self, empath: Empath, port: int, name: str, *more: str) -> dict[str, Any]:
        """
        Scan a port under a name.
        """
        options = (*SCANS, f"--sni={name}", *more)
        scanned = sslyze(f"127.0.0.1:{port}", self.folder, *options)
        self.assertTrue(empath.alive())
        return {command: attempt["result"] for command, attempt in scanned.items() if attempt is not None}

    def assert_good(self, found: dict[str, Any], name: str) -> None:
        """
        Nothing old, nothing weak, nothing known, and the certificate for `name`.
        """
        for version in OLD:
            self.assertEqual(found[f"{version}_cipher_suites"]["accepted_cipher_suites"], [], version)
        for version in ("tls_1_2", "tls_1_3"):
            suites = [
                each["cipher_suite"]["name"] for each in found[f"{version}_cipher_suites"]["accepted_cipher_suites"]
            ]
            self.assertTrue(suites, version)
            weak = [suite for suite in suites if any(word in f"{suite} " for word in WEAK)]
            self.assertEqual(weak, [], version)
        self.assertFalse(found["tls_compression"]["supports_compression"])
        self.assertFalse(found["heartbleed"]["is_vulnerable_to_heartbleed"])
        self.assertFalse(found["openssl_ccs_injection"]["is_vulnerable_to_ccs_injection"])
        self.assertFalse(found["session_renegotiation"]["is_vulnerable_to_client_renegotiation_dos"])
        self.assertTrue(found["session_renegotiation"]["supports_secure_renegotiation"])
        self.assertIn("NOT_VULNERABLE", found["robot"]["robot_result"])
        self.assertFalse(found["tls_1_3_early_data"]["supports_early_data"])
        [deployed] = found["certificate_info"]["certificate_deployments"]
        self.assertEqual(deployed["received_certificate_chain"][0]["subject_alternative_name"]["dns_names"][0], name)

    def test_starttls_and_implicit_under_two_names(self) -> None:
        empath = self.serving({"smtp": {"max_connections_per_client": 500, "max_errors": 100}})
        both = {"certificates": [self.issue("second", OTHER_NAME)]}
        implicit, secured = self.implicit(empath, **both), self.starttls(empath, **both)
        empath.start()
        self.assert_good(self.scan(empath, implicit, HOSTNAME), HOSTNAME)
        self.assert_good(self.scan(empath, secured, OTHER_NAME, "--starttls", "smtp"), OTHER_NAME)
        self.assertNotIn("Traceback", empath.log())


class CertificateTests(ServingCase):
    """
    Which certificate is shown, and when.
    """

    def shown(self, port: int, name: str | None) -> list[str]:
        """
        Connect with STARTTLS, asking for `name`; gives the names of the certificate.
        """
        context = self.context()
        context.check_hostname = False
        with smtplib.SMTP("127.0.0.1", port, "client.test", timeout=20) as client:
            client.ehlo()
            self.assertEqual(client.docmd("STARTTLS")[0], 220)
            assert client.sock is not None
            secured = context.wrap_socket(client.sock, server_hostname=name)
            client.sock, client.file = secured, None
            certificate = secured.getpeercert(binary_form=True)
            client.ehlo()
        return names(certificate or b"")

    def test_the_name_that_is_asked_for_or_else_the_first(self) -> None:
        empath = self.serving()
        port = self.starttls(empath, certificates=[self.issue("second", OTHER_NAME), self.issue("wild", "*.wild.test")])
        empath.start()
        for asked, first in (
            (HOSTNAME, HOSTNAME),
            (OTHER_NAME, OTHER_NAME),
            (OTHER_NAME.upper(), OTHER_NAME),
            ("a.wild.test", "*.wild.test"),
            ("elsewhere.test", HOSTNAME),
            (None, HOSTNAME),
        ):
            self.assertEqual(self.shown(port, asked)[0], first, asked)

    def replace(self, old: dict[str, str], new: dict[str, str]) -> None:
        """
        Put new files where the old ones are, as certificate clients do.
        """
        for key, path in old.items():
            os.replace(Path(new[key]), path)

    def test_new_sessions_see_a_replaced_certificate_while_old_ones_go_on(self) -> None:
        empath = self.serving()
        port = self.starttls(empath)
        empath.start()
        with smtplib.SMTP("127.0.0.1", port, "client.test", timeout=30) as client:
            context = self.context()
            context.check_hostname = False
            client.starttls(context=context)
            client.ehlo()
            client.mail(SENDER)
            self.replace(self.certificate, self.issue("new", "new.test"))
            took = wait_until("the new certificate", lambda: self.shown(port, None) == ["new.test"], 60)
            print(f"\na replaced certificate was shown after {took:.1f} s")
            self.assertEqual(client.rcpt("old@one.test")[0], 250)
            self.assertEqual(client.data(message())[0], 250)
        self.arrived("old@one.test")

    def test_files_that_do_not_belong_together_leave_the_old_certificate(self) -> None:
        empath = self.serving()
        port = self.starttls(empath)
        empath.start()
        before = self.shown(port, None)
        Path(self.certificate["private_key"]).write_text("this is no key\n")
        os.utime(self.certificate["certificate"])
        wait_until("said", lambda: self.said(empath, port), 60)
        self.assertEqual(self.shown(port, None), before)

    def said(self, empath: Empath, port: int) -> bool:
        """
        Connect once more; tell whether the log names the file that is wrong.
        """
        self.shown(port, None)
        return bool(empath.logged(self.certificate["private_key"]))

    def test_without_its_certificate_a_listener_does_not_start(self) -> None:
        empath = self.serving()
        self.starttls(empath, certificate=str(self.folder / "missing.pem"))
        program = empath.launch()
        self.assertEqual(program.wait(), 1)
        self.assertIn("missing.pem", empath.log())

    def test_a_client_without_a_certificate_or_with_a_strangers(self) -> None:
        """
        Certificates of clients are optional, but one that is shown has to be good.
        """
        empath = self.serving()
        port = self.implicit(empath, client_ca=str(self.authority_file))
        empath.start()
        with smtplib.SMTP_SSL("localhost", port, "client.test", timeout=20, context=self.context()) as client:
            client.sendmail(SENDER, ["none@one.test"], message())
        self.arrived("none@one.test")

    def test_cleartext_to_a_tls_port_and_tls_to_a_cleartext_one_end_well(self) -> None:
        empath = self.serving()
        port = self.implicit(empath)
        empath.start()
        with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
            connection.sendall(b"EHLO client.test\r\n")
            self.assertNotIn(b"220", connection.recv(100))
        with socket.create_connection(("127.0.0.1", empath.port), timeout=20) as connection:
            self.assertRaises((ssl.SSLError, OSError), self.context().wrap_socket, connection, server_hostname=HOSTNAME)
        self.assertTrue(empath.alive())
        self.assertNotIn("Traceback", empath.log())
