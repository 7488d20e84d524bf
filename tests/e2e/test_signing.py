"""
What empath signs is verified by others: OpenDKIM and dkimpy; what is not its own it leaves alone.
"""

from __future__ import annotations

import time

from empath.mail.dkim.fields import fields_of
from empath.sign.keys import LOOK_AGAIN
from tests.e2e.dialogue import Dialogue
from tests.e2e.harness import EndToEndTestCase, message
from tests.e2e.processes import TooLate, wait_until
from tests.e2e.program import Empath, merged
from tests.e2e.signed_mail import AUTHOR, DOMAIN, FORMS, KeyFiles, alone, mail, of_the_corpus, opendkim_reads
from tests.e2e.storing import StoringSmtpServer
from tests.e2e.storing_session import Options

SENDER = f"somebody@{DOMAIN}"
SIGNATURE = b"DKIM-Signature:"


class SigningCase(EndToEndTestCase):
    """
    Has keys, and a next hop.
    """

    def setUp(self) -> None:
        super().setUp()
        self.keys = KeyFiles(self.folder / "keys")
        self.server = self.peer("127.0.0.11")

    def post_all(self, empath: Empath, messages: dict[str, bytes]) -> None:
        """
        Send messages in one session, each to a recipient of its name.
        """
        with Dialogue(empath.port, timeout=60.0) as client:
            client.greet()
            for name, content in messages.items():
                heard = client.post(SENDER, [f"{name}@one.test"], content, " BODY=8BITMIME")
                self.assertEqual(heard.code, 250, f"{name}: {heard}")

    def arrived(self, server: StoringSmtpServer, messages: dict[str, bytes], seconds: float = 60.0) -> dict[str, bytes]:
        """
        Wait for them all, and give what came.
        """
        found: dict[str, bytes] = {}

        def all_there() -> bool:
            for name in messages:
                if name not in found and (stored := server.arrived(f"{name}@one.test")):
                    found[name] = stored[0].content or b""
            return len(found) == len(messages)

        wait_until("all arrived", all_there, seconds)
        return found

    def assert_verified(self, contents: dict[str, bytes], form: str = FORMS[0]) -> int:
        """
        Both verifiers take both signatures of each message that can be signed; tells how many that are.
        """
        signed = {name: content for name, content in contents.items() if content.startswith(SIGNATURE)}
        for name in contents.keys() - signed.keys():
            header = contents[name].partition(b"\r\n\r\n")[0] + b"\r\n"
            self.assertIsNone(fields_of(header), f"{name} was not signed: {header!r}")
        refused = {name: self.keys.dkimpy_refuses(content) for name, content in signed.items()}
        self.assertEqual({name: why for name, why in refused.items() if why}, {})
        for key in ("rsa", "ed"):
            one = {name: alone(content, key) for name, content in signed.items() if opendkim_reads(content, form)}
            verified = self.keys.opendkim_verifies(self.folder / f"opendkim-{form.replace('/', '-')}-{key}", one)
            self.assertGreater(len(one), len(signed) / 2)
            self.assertEqual(sorted(one.keys() - verified), [], key)
        return len(signed)


class VerifiedTests(SigningCase):
    """
    Signatures hold.
    """

    each = 12  # messages of a canonicalization

    def test_opendkim_and_dkimpy_verify_all_forms_of_both_algorithms(self) -> None:
        """
        Of mail of every shape.
        """
        empath = self.to_peer(self.server, self.keys.settings())
        for at, form in enumerate(FORMS):
            empath.reload(self.keys.settings(form))
            messages = {f"m{number}": mail(number) for number in range(at * self.each, (at + 1) * self.each)}
            self.post_all(empath, messages)
            self.assertEqual(self.assert_verified(self.arrived(self.server, messages), form), self.each)

    def test_the_corpus_is_verified(self) -> None:
        """
        But for what has no header block that all read in one way.
        """
        empath = self.to_peer(self.server, self.keys.settings())
        messages = of_the_corpus()
        self.post_all(empath, messages)
        contents = self.arrived(self.server, messages)
        self.assertGreater(self.assert_verified(contents), len(messages) * 0.8)

    def test_what_is_made_seven_bit_is_signed_as_it_is_then(self) -> None:
        """
        Content in memory, and content in a file (RFC 6376 §5.3).
        """
        server = self.peer("127.0.0.12", Options(extensions=("PIPELINING", "SIZE 100000000")))
        empath = self.to_peer(server, self.keys.settings())
        head = AUTHOR + b"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
        line = "Grüße aus Köln, mit Blanks  \t am Ende \r\n".encode()
        messages = {"small": head + line, "large": head + line * 20_000}
        self.post_all(empath, messages)
        contents = self.arrived(server, messages)
        self.assertTrue(all(content.isascii() for content in contents.values()))
        self.assertEqual(self.assert_verified(contents), 2)


class ChosenTests(SigningCase):
    """
    Whose mail is signed.
    """

    def test_other_peoples_mail_is_not_signed(self) -> None:
        """
        Neither of a domain without a key, nor what comes from outside with a From of ours.
        """
        outside = {"relay": {"networks": ["192.0.2.0/24"], "domains": ["one.test"]}}
        empath = self.to_peer(self.server, self.keys.settings())
        self.send(empath, ["a@one.test"], message("unknown"))
        self.assertNotIn(SIGNATURE, self.wait_arrived(self.server, "a@one.test").content or b"")
        empath.stop()
        empath.change(outside)
        empath.start()
        self.send(empath, ["b@one.test"], AUTHOR + b"\r\nforged\r\n", "somebody@elsewhere.test")
        self.assertNotIn(SIGNATURE, self.wait_arrived(self.server, "b@one.test").content or b"")

    def test_keys_that_cannot_be_used_are_refused(self) -> None:
        """
        At a reload, which changes nothing then, and at the start, each with a line that names the file.
        """
        empath = self.to_peer(self.server, self.keys.settings())
        (self.folder / "keys" / "bad.pem").write_text("no key")
        empath.reload(self.keys.settings(names=("bad",)), hang_up=False)
        empath.hang_up()
        empath.wait_logged("delivery.dkim.keys[0].private_key", "bad.pem", "no private key in PEM")
        self.send(empath, ["a@one.test"], AUTHOR + b"\r\nhello\r\n", SENDER)
        self.assertEqual(self.keys.dkimpy_refuses(self.wait_arrived(self.server, "a@one.test").content or b""), [])
        empath.stop()
        with self.assertRaises(TooLate) as refused:
            empath.start()
        self.assertIn("bad.pem", str(refused.exception))

    def test_mail_waits_for_its_key(self) -> None:
        """
        Mail whose key goes away waits until it is back.
        """
        fast = {"base_retry_delay": "1s", "process_interval": "1s", "retry_jitter_factor": 0.0}
        empath = self.to_peer(self.server, merged(self.keys.settings(), {"delivery": fast}))
        file = self.folder / "keys" / "rsa.pem"
        text = file.read_bytes()
        file.unlink()
        time.sleep(LOOK_AGAIN)  # until the file is looked at again
        self.send(empath, ["a@one.test"], AUTHOR + b"\r\nhello\r\n", SENDER)
        empath.wait_logged("rsa.pem", "mail that it signs waits")
        empath.wait_logged("status=deferred", "cannot be signed now")
        self.assertEqual(self.server.arrived("a@one.test"), [])
        file.write_bytes(text)
        content = self.wait_arrived(self.server, "a@one.test").content or b""
        self.assertEqual(self.keys.dkimpy_refuses(content), [])
