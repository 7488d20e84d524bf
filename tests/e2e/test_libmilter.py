"""
A milter made with libmilter, which does all that a milter may, hears all that one hears, and meets clients that mean it
ill.
"""

from __future__ import annotations

import signal
from base64 import b64encode
from typing import Any

from tests.e2e.dialogue import Dialogue
from tests.e2e.harness import message, smarthost
from tests.e2e.milters import Scripted
from tests.e2e.processes import wait_until
from tests.e2e.program import HOSTNAME, Empath, merged, toml
from tests.e2e.serving import LOGIN, PASSWORD, SHA512_CRYPT, parsed
from tests.e2e.test_milters import MilterCase, milter

YOU = "you@one.test"
LEADING_SPACE = 0x100000
MANY = 40
AT_ONCE = 8


class ScriptedCase(MilterCase):
    """
    Has a milter that does what a test says.
    """

    def setUp(self) -> None:
        super().setUp()
        self.milter = Scripted(self.folder / "milter")
        self.milter.does()
        self.addCleanup(self.milter.kill)
        self.milter.start()

    def scanning(self, **options: Any) -> Empath:
        """
        Start empath with this milter.
        """
        return self.filtering(milter(self.milter.endpoint, **options))

    def wait_all_closed(self) -> None:
        """
        Wait until every connection has ended.
        """
        wait_until("all ended", lambda: len(self.milter.heard("close")) == len(self.milter.heard("connect")))


class ChangingTests(ScriptedCase):
    """
    What it may change.
    """

    def test_all_changes_at_once(self) -> None:
        """
        Envelope, header and body arrive as it said.
        """
        empath = self.scanning()
        self.milter.does(
            eom=[
                ["progress"],
                ["addheader", "X-Last", "the\n\tend"],
                ["addheader", "X-First", "top", 0],
                ["addheader", "X-Second", "below", 2],
                ["chgheader", "Subject", 1, "[SPAM] hello"],
                ["chgheader", "X-Doomed", 1, ""],
                ["chgheader", "X-New", 1, "was not there"],
                ["chgfrom", "<bounces@origin.test>", "ENVID=x"],
                ["addrcpt", "<added@one.test>"],
                ["addrcpt", "<watcher@one.test>", "NOTIFY=NEVER"],
                ["delrcpt", "<you@one.test>"],
                ["long_body", 300_000],
            ]
        )
        self.send(empath, [YOU, "other@one.test"], b"X-Doomed: 1\r\nX-Doomed: 2\r\n" + message("hello"))
        stored = self.wait_arrived(self.server, "added@one.test")
        self.assertEqual(stored.sender, "bounces@origin.test")
        self.wait_arrived(self.server, "watcher@one.test")
        self.wait_arrived(self.server, "other@one.test")
        self.assertEqual(self.server.arrived(YOU), [])
        content = stored.content or b""
        fields = parsed(stored)
        self.assertEqual(fields.get_all("X-Doomed"), ["2"])
        self.assertEqual((fields["Subject"], fields["X-New"]), ("[SPAM] hello", "was not there"))
        self.assertIn(b"\r\nX-Last: the\r\n\tend\r\n", content)
        names = [name for name in fields if name != "Received"]
        self.assertEqual(names[:3], ["X-First", "X-Second", "X-Doomed"])
        self.assertTrue(content.endswith(b"\r\n\r\n" + (b"x" * 98 + b"\r\n") * 3000))

    def test_quarantine_and_no_recipients(self) -> None:
        """
        Held mail stays in the queue, mail without recipients is dropped; both were accepted.
        """
        empath = self.scanning()
        for calls in ([["quarantine", "looks odd"]], [["delrcpt", YOU]]):
            self.milter.does(eom=calls)
            self.send(empath, [YOU])
        self.milter.does()
        self.send(empath, ["after@one.test"])
        self.wait_arrived(self.server, "after@one.test")
        self.assertEqual(self.server.arrived(YOU), [])

    def test_replies(self) -> None:
        """
        Of several lines, with a percent sign, for good and for now, at each step.
        """
        empath = self.scanning()
        for hook in ("envfrom", "envrcpt", "data", "header", "eoh", "body", "eom"):
            self.milter.does(**{hook: [["setreply", "554", "5.7.1", "100%% sure", "really"], ["REJECT"]]})
            heard = self.attempt(empath, [YOU])
            self.assertEqual((heard.code, heard.lines), (554, ("5.7.1 100% sure", "5.7.1 really")), hook)
            self.milter.does(**{hook: [["TEMPFAIL"]]})
            self.assert_code(self.attempt(empath, [YOU]), 451)
            self.milter.does(**{hook: [["DISCARD"]]})
            self.assert_code(self.attempt(empath, [YOU]), 250)
        self.milter.does(hello=[["REJECT"]])
        with Dialogue(empath.port) as client:
            self.assert_code(client.greet(), 550)
        self.milter.does()
        self.send(empath, ["after@one.test"])
        self.wait_arrived(self.server, "after@one.test")
        self.assertEqual(self.server.arrived(YOU), [])


class HearingTests(ScriptedCase):
    """
    What it hears.
    """

    def test_all_that_there_is_to_hear(self) -> None:
        """
        Who the client is and how it logged in, the macros that it asked for, fields as they were written, a body in
        pieces.
        """
        users = self.folder / "users"
        users.write_text(f"{LOGIN}:{SHA512_CRYPT}\n")
        for flags, space in ((0, ""), (LEADING_SPACE, " ")):
            self.milter.does(flags=flags)
            settings = {"auth": {"users": str(users)}, "modules": [milter(self.milter.endpoint)]}
            empath = self.empath(merged(smarthost(self.server), settings))
            port = empath.listen(auth=True, auth_cleartext=True)
            empath.start()
            with Dialogue(port) as client:
                client.greet("client.test")
                self.assert_code(client.say(b"AUTH PLAIN " + plain(LOGIN, PASSWORD)), 235)
                content = (
                    b"Message-ID: <1@a>\r\nA:b\r\nSubject:  two\r\n\t lines \r\n\r\n" + b"0123456789abcd\r\n" * 10_000
                )
                self.assert_code(client.post("me@origin.test", [YOU], content, " BODY=8BITMIME"), 250)
            self.assertEqual(self.milter.heard("connect")[-1][3:], [HOSTNAME, "127.0.0.1"])
            sender, parameters, known = self.milter.heard("envfrom")[-1]
            self.assertEqual((sender, parameters), ("<me@origin.test>", ["BODY=8BITMIME"]))
            self.assertEqual(known[1:], ["PLAIN", LOGIN, "me@origin.test"])
            self.assertEqual(self.milter.heard("envrcpt")[-1], [f"<{YOU}>", []])
            fields = [["Message-ID", f"{space}<1@a>"], ["A", "b"], ["Subject", f"{space} two\n\t lines "]]
            self.assertEqual(self.milter.heard("header")[-3:], fields)
            self.assertEqual([size for [size] in self.milter.heard("body")[-3:]], [65535, 65535, 160_000 - 2 * 65535])
            self.assertEqual(self.milter.heard("eom")[-1], ["<1@a>", 160_000])
            wait_until("it heard the end", lambda: bool(self.milter.heard("close")))
            empath.kill()


class HostileTests(ScriptedCase):
    """
    Clients that would like it to fail, and its own ends.
    """

    def test_what_a_client_wrote_is_no_failure(self) -> None:
        """
        Fields and names beyond all measure, lines without anything, octets that are no text, a NUL: the milter hears
        them, gives them back, and mail goes on.
        """
        empath = self.scanning(on_error="tempfail")
        self.milter.does(eom=[["echo"]])
        for number, content in enumerate(
            (
                b"Message-ID: <" + b"x" * 70_000 + b"@a>\r\nSubject: a\r\n\r\nbody\r\n",
                b"X" * 70_000 + b": y\r\nSubject: a\r\n\r\nbody\r\n",
                b"X-Long: " + b"x" * 100_000 + b"\r\n\r\nbody\r\n",
                b"Subject: a\r\n \r\n\t\r\n b\r\n \r\nTo: \xc3\xbc <a@b.test>\r\n\r\nbody\xff\r\n",
                b"X-A:1\r\n" * 5000 + b"\r\n",
            )
        ):
            with Dialogue(empath.port) as client:
                client.greet()
                heard = client.post("me@origin.test", [f"{number}@one.test"], content, " BODY=8BITMIME")
                self.assert_code(heard, 250)
            self.wait_arrived(self.server, f"{number}@one.test")
        self.assertEqual(empath.logged("failed"), [])

    def test_thousands_of_forged_fields(self) -> None:
        """
        Removed one by one, as OpenDKIM does it, they hold up nobody for long.
        """
        empath = self.scanning()
        self.milter.does(eom=[["remove_all", "Authentication-Results"]])
        forged = f"Authentication-Results: {HOSTNAME};x\r\n".encode() * 5000
        self.send(empath, [YOU], forged + message())
        self.assertNotIn(b"Authentication-Results", self.wait_arrived(self.server, YOU).content or b"")
        self.assertEqual(empath.logged("held up"), [])

    def test_more_sessions_than_connections(self) -> None:
        """
        They wait for their turn, and all are served.
        """
        empath = self.scanning(max_connections=2)
        clients = [Dialogue(empath.port) for _ in range(AT_ONCE)]
        for number, client in enumerate(clients):
            with client:
                client.greet()
                self.assert_code(client.post("me@origin.test", [f"{number}@one.test"], message()), 250)
                client.say("QUIT")
        for number in range(AT_ONCE):
            self.wait_arrived(self.server, f"{number}@one.test")

    def test_clients_that_leave_in_the_middle(self) -> None:
        """
        While the milter judges a message: nothing counts as its failure, and no connection is left.
        """
        empath = self.scanning()
        self.milter.does(eom=[["wait", 1.0]])
        for _ in range(AT_ONCE):
            with Dialogue(empath.port) as client:
                client.greet()
                client.say("MAIL FROM:<me@origin.test>")
                client.say(f"RCPT TO:<{YOU}>")
                client.say("DATA")
                client.send(b"Subject: a\r\n\r\n.\r\n")
        self.wait_all_closed()
        self.assertEqual(empath.logged("failed"), [])

    def test_a_reload_in_the_middle(self) -> None:
        """
        Messages that are being judged are, and the session goes on with the new module.
        """
        empath = self.scanning()
        self.milter.does(eom=[["wait", 1.0], ["addheader", "X-A", "b"]])
        with Dialogue(empath.port) as client:
            client.greet()
            client.say("MAIL FROM:<me@origin.test>")
            client.say(f"RCPT TO:<{YOU}>")
            client.say("DATA")
            client.send(b"Subject: a\r\n\r\n.\r\n")
            wait_until("it judges", lambda: bool(self.milter.heard("eom")))
            empath.change({"modules": [milter(self.milter.endpoint, command_timeout="11s")]})
            empath.file.write_text(toml(empath.configuration()))
            empath.hang_up()
            self.assert_code(client.reply(), 250)
            empath.wait_logged("modules: milter; new: milter; gone: milter")
            self.assert_code(client.post("me@origin.test", ["next@one.test"], message()), 250)
        for recipient in (YOU, "next@one.test"):
            self.assertIn(b"\r\nX-A: b\r\n", self.wait_arrived(self.server, recipient).content or b"")
        wait_until(
            "all connections ended", lambda: len(self.milter.heard("close")) == len(self.milter.heard("connect"))
        )

    def test_it_stands_still(self) -> None:
        """
        A milter that is stopped costs its time-out, and serves the session again once it goes on.
        """
        empath = self.scanning(command_timeout="1s", content_timeout="1s")
        with Dialogue(empath.port) as client:
            client.greet()
            self.assert_code(client.say("MAIL FROM:<me@origin.test>"), 250)
            self.milter.signal(signal.SIGSTOP)
            self.assert_code(client.say(f"RCPT TO:<{YOU}>"), 451)
            self.milter.signal(signal.SIGCONT)
            self.assert_code(client.say("RSET"), 250)
            self.assert_code(client.post("me@origin.test", [YOU], message()), 250)
        self.wait_arrived(self.server, YOU)

    def test_it_dies_at_each_step(self) -> None:
        """
        The step answers 451; once it is back, the next message passes.
        """
        empath = self.scanning()
        for hook in ("connect", "hello", "envfrom", "envrcpt", "data", "header", "eoh", "body", "eom"):
            self.milter.does(**{hook: [["die"]]})
            with Dialogue(empath.port) as client:
                if client.reply().code == 220:
                    codes = [client.say("EHLO client.test").code]
                    heard = client.post("me@origin.test", [YOU], message())
                    self.assertEqual({451} & {*codes, heard.code}, {451}, hook)
            self.milter.kill()
            self.milter.does()
            self.milter.start()
            self.send(empath, [f"{hook}@one.test"])
            self.wait_arrived(self.server, f"{hook}@one.test")
        self.assertEqual(self.server.arrived(YOU), [])


def plain(login: str, password: str) -> bytes:
    """
    Write the initial response of AUTH PLAIN (RFC 4616).
    """
    return b64encode(f"\0{login}\0{password}".encode())
