"""
Dialogues that are followed, and sessions that are ended, on the real program.
"""

from __future__ import annotations

import ssl
import threading
from base64 import b64encode
from typing import Any

import trustme

from empath.control.client import ControlClient
from empath.control.faults import ControlError
from empath.control.terms.smtp import FollowDialogues, KillSession, ListSessions, TraceEnd, TraceLine
from tests.e2e.dialogue import Closed, Dialogue
from tests.e2e.harness import EndToEndTestCase, message
from tests.e2e.load import Load
from tests.e2e.processes import wait_until
from tests.e2e.program import Empath
from tests.e2e.scripted import says
from tests.e2e.storing_session import Options
from tests.e2e.unbound import mail_zone

PASSWORD = "tanstaafl"
EVERYBODY = "127.0.0.0/8"


class Following:
    """
    Follows dialogues in a thread, until `end`.
    """

    def __init__(self, empath: Empath, request: FollowDialogues) -> None:
        self.lines: list[TraceLine] = []
        self.began = threading.Event()
        self.end: TraceEnd | None = None
        self._client = ControlClient(empath.control_socket, timeout=60)
        self._thread = threading.Thread(target=self._follow, args=(request,), daemon=True)
        self._thread.start()

    def _follow(self, request: FollowDialogues) -> None:
        try:
            self.end = self._client.follow(request, self._hear)
        except (ControlError, OSError):
            return  # whoever is followed was killed, or we hung up

    def _hear(self, line: TraceLine) -> None:
        if line.event == "began":
            self.began.set()
        else:
            self.lines.append(line)

    def texts(self, side: str = "") -> list[str]:
        """
        What was said so far.
        """
        return [f"{'>' if each.from_us else '<'} {each.text}" for each in self.lines if side in ("", each.side)]

    def wait(self, part: str, seconds: float = 30.0) -> None:
        """
        Wait for a line that contains this.
        """
        wait_until(f"followed: {part}", lambda: any(part in each for each in self.texts()), seconds)

    def join(self, seconds: float = 60.0) -> None:
        """
        Wait for the end.
        """
        self._thread.join(seconds)


class FollowingCase(EndToEndTestCase):
    """
    An empath that is asked through its control socket.
    """

    def follow(self, empath: Empath, **wanted: Any) -> Following:
        """
        Begin to follow, and wait until it has begun.
        """
        following = Following(empath, FollowDialogues(**wanted))
        self.assertTrue(following.began.wait(30))
        return following

    def ask(self, empath: Empath, request: Any) -> Any:
        """
        Ask one thing.
        """
        with ControlClient(empath.control_socket, timeout=30) as client:
            return client.ask(request)

    def sessions(self, empath: Empath) -> dict[str, str]:
        """
        Tell the states of all sessions by their names.
        """
        return {each.session: each.state for each in self.ask(empath, ListSessions()).sessions}

    def wait_state(self, empath: Empath, state: str) -> str:
        """
        Wait until there is a session in this state; gives its name.
        """
        wait_until(state, lambda: state in self.sessions(empath).values())
        return next(name for name, each in self.sessions(empath).items() if each == state)


class TraceTests(FollowingCase):
    """
    Requirements on `smtp trace`.
    """

    def test_a_message_through_a_retry_and_a_restart(self) -> None:
        """
        By its queue id: its later attempts are followed, also in the next life of the program.
        """
        peer = self.peer("127.0.0.11")
        peer.script.on("RCPT", says(451, "4.2.1 mailbox is busy"), times=2)
        empath = self.to_peer(peer, {"delivery": {"base_retry_delay": "3s", "max_retry_delay": "3s"}})
        queued = self.send(empath, ["you@one.test"])
        empath.wait_logged(queued, "4.2.1")
        following = self.follow(empath, id=queued.lower())
        following.wait("mailbox is busy")
        empath.stop()
        following.join()
        empath.start()
        following = self.follow(empath, id=queued)
        self.wait_arrived(peer, "you@one.test")
        following.wait("RCPT TO:<you@one.test>")
        following.wait("octets of content]")
        self.assertEqual({each.side for each in following.lines}, {"client"})

    def test_both_sides_of_a_domain(self) -> None:
        """
        Sessions that name it and deliveries to it, none of the others; a session by its name, too.
        """
        peer, other = self.peer("127.0.0.11"), self.peer("127.0.0.12")
        dns = self.dns(*mail_zone("one.test", "127.0.0.11"), *mail_zone("two.test", "127.0.0.12"))
        empath = self.relaying(dns)
        with Dialogue(empath.port) as client:
            client.greet("named.test")
            [name] = self.sessions(empath)
            by_domain, by_name = self.follow(empath, domain="ONE.test"), self.follow(empath, id=name)
            by_name.wait("from port")
            client.post("me@origin.test", ["other@two.test"], message("two"))
            client.post("me@origin.test", ["you@one.test"], message("one"))
            self.wait_arrived(peer, "you@one.test")
            self.wait_arrived(other, "other@two.test")
            by_domain.wait("RCPT TO:<you@one.test>")
            wait_until("both sides", lambda: {each.side for each in by_domain.lines} == {"client", "server"})
            by_domain.wait("> [")
        self.assertFalse([each for each in by_domain.texts() if "two.test" in each or "hello" in each])
        by_name.wait("you@one.test")
        self.assertEqual({each.connection for each in by_name.lines}, {name})

    def test_no_secret_is_shown(self) -> None:
        """
        Of clients that log in to us in any way, and of our own login to a host that quotes it.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        trustme.CA().issue_cert("localhost").configure_cert(context)
        peer = self.peer("127.0.0.11", Options(context=context, logins={"mx": PASSWORD}))
        said = b64encode(b"\0mx\0" + PASSWORD.encode()).decode()
        peer.script.on("AUTH", says(535, f"5.7.8 what is {said}, {PASSWORD} or {PASSWORD.encode().hex()}"))
        login = {"tls_policy": "required", "username": "mx", "password": PASSWORD}
        empath = self.to_peer(peer, {"delivery": {"domains": {"*": login}}})
        following = self.follow(empath, peer=EVERYBODY)
        self._log_in(empath)
        self.send(empath, ["you@one.test"])
        following.wait("535")
        shown = "\n".join(following.texts())
        for secret in (PASSWORD, said, said[4:14], PASSWORD.encode().hex(), b64encode(PASSWORD.encode()).decode()):
            self.assertNotIn(secret, shown)
            self.assertNotIn(secret, empath.log())
        self.assertIn("> AUTH PLAIN [masked]", shown)

    def _log_in(self, empath: Empath) -> None:
        """
        Try to, in ways that real clients have.
        """
        response, word = b64encode(b"\0mx\0" + PASSWORD.encode()), b64encode(PASSWORD.encode())
        ways = [
            [b"AUTH PLAIN " + response + b"\r\n"],
            [b"aUTH\tpLAIN\t" + response + b"\r\n"],
            [b"AUTH LOGIN\r\nbXg=\r\n" + word + b"\r\n"],
            [b"AUTH LOGIN\r\n", b"bXg=\r\n", word[:4], word[4:] + b"\r\n"],
            [b"AUTH LOGIN\r\n", PASSWORD.encode() + b"\r\n", b"*\r\n"],
            [b"AUHT PLAIN " + response + b"\r\n" + PASSWORD.encode() + b"\r\n"],
            [b"DATA\r\n" + PASSWORD.encode() + b"\r\nhelp " + PASSWORD.encode() + b"\r\n"],
            [b"PASS " + PASSWORD.encode() + b"\r\n"],
            [b"AUTH PLAIN " + response + b"\n\r\n"],
            [b"XCLIENT LOGIN=mx\r\nAUTH PLAIN\r\n" + response + b"\r\n"],
        ]
        for way in ways:
            with Dialogue(empath.port) as client:
                client.greet()
                for turn in way:
                    client.send(turn)
                client.send(b"QUIT\r\n")
                while client.reply().code != 221:
                    pass

    def test_everything_is_followed_under_load(self) -> None:
        """
        No message is lost or refused, all arrive; what was left out is counted, and told.
        """
        peer = self.peer("127.0.0.11", Options(keep_content=False))
        empath = self.to_peer(peer)
        following = self.follow(empath, peer=EVERYBODY, seconds=8.0)
        load = Load(empath.port, sessions=10)
        load.start()
        following.join()
        load.finish()
        self.assertEqual(load.refused, [])
        wait_until("all arrived", lambda: len(peer.stored) >= len(load.accepted), 60)
        self.assertEqual(len(peer.stored), len(load.accepted))
        end = following.end
        if end is None:
            raise AssertionError("it did not end")
        left_out = sum(int(each.text.split()[0]) for each in following.lines if each.event == "missed")
        self.assertEqual((end.lines, end.dropped), (len(following.lines), left_out))
        self.assertGreater(len(following.lines), 1000)


class KillTests(FollowingCase):
    """
    Requirements on `smtp kill`: in any state the session ends, and what was answered is true.
    """

    def killed(self, empath: Empath, state: str) -> None:
        """
        End the session that is in this state; nobody else's.
        """
        name = self.wait_state(empath, state)
        self.assertEqual(self.ask(empath, KillSession(session=name)).sessions, (name,))
        wait_until("gone", lambda: name not in self.sessions(empath))

    def last_code(self, client: Dialogue) -> int:
        """
        Read to the end; gives the last reply's code, 0 if there was none.
        """
        code = 0
        try:
            while True:
                code = client.reply().code
        except (Closed, OSError):
            return code

    def test_each_state(self) -> None:
        """
        From the greeting that is still to come to chunks that are half there: 421, and nothing is stored.
        """
        peer = self.peer("127.0.0.11")
        empath = self.to_peer(peer, {"smtp": {"greeting_delay": "1s"}})
        envelope = [b"EHLO c\r\n", b"MAIL FROM:<a@b.example>\r\n", b"RCPT TO:<you@one.test>\r\n"]
        ways: list[tuple[str, list[bytes]]] = [
            ("greeting", []),
            ("connected", []),
            ("greeted", envelope[:1]),
            ("mail", envelope[:2]),
            ("recipients", envelope),
            ("content", [*envelope, b"DATA\r\n", b"x: y\r\n\r\nhalf"]),
            ("content", [*envelope, b"BDAT 10\r\nhalf"]),
            ("content", [*envelope, b"BDAT 4\r\nhalf"]),
        ]
        for state, turns in ways:
            with Dialogue(empath.port) as client:
                if state != "greeting":
                    client.reply()
                for turn in turns:
                    client.send(turn)
                self.killed(empath, state)
                self.assertEqual(self.last_code(client), 421, state)
        self.assertEqual((self.sessions(empath), peer.stored), ({}, []))
        self.assertTrue(empath.alive())

    def test_a_thousand_times_under_load(self) -> None:
        """
        Every message that was answered 250 arrives, once; none arrives that was not answered 250.
        """
        peer = self.peer("127.0.0.11")
        empath = self.to_peer(peer)
        load = Load(empath.port, sessions=8, per_connection=50)
        load.start()
        ended = 0
        while ended < 200:
            with ControlClient(empath.control_socket, timeout=30) as client:
                for each in client.ask(ListSessions()).sessions:
                    try:
                        ended += len(client.ask(KillSession(session=each.session)).sessions)
                    except ControlError:
                        continue  # it was over before
        load.finish()
        accepted = sorted(each.recipient for each in load.accepted)
        wait_until("all arrived", lambda: len(peer.stored) >= len(accepted), 60)
        arrived = sorted(each.recipients[0] for each in peer.stored)
        self.assertEqual(arrived, accepted)
        self.assertEqual(self.sessions(empath), {})
