"""
No message twice under one key, stolen logins that are stopped, and what looks after the queue and the disk.
"""

from __future__ import annotations

import base64
import threading
from functools import partial
from pathlib import Path
from typing import Any

from tests.e2e.controlled import Controlled
from tests.e2e.dialogue import Dialogue, Heard, queue_id
from tests.e2e.harness import SENDER, smarthost
from tests.e2e.processes import wait_until
from tests.e2e.program import Settings, merged
from tests.e2e.scripted import Wait, says
from tests.e2e.serving import HARNESS_PYTHONPATH, LOGIN, PASSWORD, ServingCase

COPIES = 100
CREDENTIALS = base64.b64encode(f"\0{LOGIN}\0{PASSWORD}".encode()).decode()
LARGE = b"x" * 70 + b"\r\n"


def keyed(key: str, lines: int = 1) -> bytes:
    """
    Make a message under a key; of some thousand lines it does not fit into memory.
    """
    return f"Subject: {key}\r\nIdempotency-Key: {key}\r\n\r\n".encode() + LARGE * lines


class SafetyCase(ServingCase):
    """
    The real program, which does what it is told through its Python interface, too.
    """

    def controlled(self, settings: Settings | None = None) -> Controlled:
        """
        Make an instance that hands everything to `server`.
        """
        usual: dict[str, Any] = {"auth": {"users": str(self.users)}}
        made = merged(merged(usual, smarthost(self.server)), settings or {})
        instance = Controlled(self.folder / "controlled", made, HARNESS_PYTHONPATH)
        self.addCleanup(self._end, instance)
        return instance

    def metric(self, empath: Controlled, name: str) -> float:
        """
        Read one sample without labels from the page.
        """
        _, page = empath.get("/metrics", metrics=True)
        return next((float(line.split()[-1]) for line in page.splitlines() if line.startswith(name + " ")), -1.0)


class IdempotencyTests(SafetyCase):
    """
    Keys of messages that are handed in.
    """

    def in_parallel(self, empath: Controlled, content: bytes) -> list[Heard]:
        """
        Send copies all at the same time: each waits before the last octet for the others.
        """
        ready, heard = threading.Barrier(COPIES), []

        def send() -> None:
            with Dialogue(empath.port, timeout=60.0) as client:
                client.greet()
                for line in (f"MAIL FROM:<{SENDER}>", "RCPT TO:<you@one.test>", "DATA"):
                    client.say(line)
                client.send(content + b".\r")
                ready.wait(60.0)
                client.send(b"\n")
                heard.append(client.reply())

        threads = [threading.Thread(target=send) for _ in range(COPIES)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(90.0)
        return heard

    def test_a_hundred_copies_at_once(self) -> None:
        """
        They are one message, small or large; so is the one that comes after `kill -9`.
        """
        empath = self.controlled({"smtp": {"max_connections_per_client": 2 * COPIES}})
        empath.start()
        for key, lines in (("small", 1), ("large", 3000)):
            heard = self.in_parallel(empath, keyed(key, lines))
            self.assertEqual(len(heard), COPIES)
            self.assertEqual(len({queue_id(each) for each in heard}), 1, heard[:3])
            wait_until("delivered", partial(self.has_subject, key))
        empath.wait_for("service.queue.active == 0")  # what is not settled at a kill is sent again
        empath.kill()
        empath.start()
        self.assertEqual(queue_id(self.attempt(empath, ["you@one.test"], keyed("large", 3000))), queue_id(heard[0]))
        self.send(empath, ["last@one.test"])
        self.wait_arrived(self.server, "last@one.test")
        self.assertEqual(len(self.server.arrived("you@one.test")), 2)
        self.assertNotIn(b"Idempotency", b"".join(each.content or b"" for each in self.server.stored))
        wait_until("no content is left", lambda: not list(self.content_files(empath)))

    def test_what_is_left_goes_out(self) -> None:
        """
        A copy with a recipient more goes to that one, though the first one still waits, across `kill -9`.
        """
        self.server.stop()
        empath = self.controlled()
        empath.start()
        first = queue_id(self.attempt(empath, ["a@one.test", "b@two.test"], keyed("k")))
        empath.kill()
        empath.start()
        second = queue_id(self.attempt(empath, ["a@one.test", "b@two.test", "c@one.test"], keyed("k")))
        self.assertNotEqual(second, first)
        self.assertEqual(queue_id(self.attempt(empath, ["b@two.test"], keyed("k"))), first)
        self.server.start()
        for recipient in ("a@one.test", "b@two.test", "c@one.test"):
            self.arrived(recipient)

    def has_subject(self, subject: str) -> bool:
        """
        Tell whether such a message arrived.
        """
        return any(f"Subject: {subject}".encode() in (each.content or b"") for each in list(self.server.stored))

    def content_files(self, empath: Controlled) -> list[Path]:
        """
        Find what large messages have left in the spool.
        """
        return [path for path in (empath.spool / "content").rglob("*") if path.is_file()]


class SenderTests(SafetyCase):
    """
    A login that somebody has stolen.
    """

    def login(self, port: int, recipient: str, sender: str = "robot@one.test") -> Heard:
        """
        Log in and try to send a message.
        """
        with Dialogue(port) as client:
            client.greet()
            client.say(f"AUTH PLAIN {CREDENTIALS}")
            return client.post(sender, [recipient], b"Subject: buy\r\n\r\nbuy\r\n")

    def test_it_is_stopped_and_released(self) -> None:
        """
        What waits is held, what comes is refused, other mail goes on; a restart changes nothing, a release everything.
        """
        breaker = {"enabled": True, "min_recipients": 5, "max_failure_ratio": 0.8}
        empath = self.controlled({"delivery": {"sender_breaker": breaker}})
        port = empath.listen(auth=True, auth_cleartext=True)
        self.server.script.on("RCPT", says(550, "5.1.1 no such user"), argument="nobody")
        self.server.script.on("RCPT", says(450, "4.2.1 later"), argument="later")
        empath.start()
        waiting = queue_id(self.login(port, "later@one.test"))
        trusted = self.send(empath, ["later-too@one.test"])
        for number in range(5):
            queue_id(self.login(port, f"nobody{number}@one.test"))
        empath.wait_for("[each.held for each in service.safety.senders.stopped()]")
        self.assertEqual(self.login(port, "you@one.test").code, 450)
        self.assertEqual(self.login(port, "you@one.test", "other@one.test").code, 450)
        self.send(empath, ["fine@one.test"], sender="robot@one.test")
        self.arrived("fine@one.test")
        empath.wait_logged("login:robot", "5 of 5 recipients failed")
        wait_until("held", lambda: empath.ask(self.status(waiting)) == ["held"])
        empath.kill()
        empath.start()
        self.server.script.clear()
        self.assertEqual(self.login(port, "you@one.test").code, 450)
        self.arrived("later-too@one.test")
        self.assertEqual(empath.ask(self.status(waiting)), ["held"])
        wait_until("settled", lambda: empath.ask(self.status(trusted)) == [])
        self.assertTrue(empath.ask("service.safety.senders.release('login:robot')"))
        self.arrived("later@one.test")
        queue_id(self.login(port, "you@one.test"))
        self.arrived("you@one.test")
        self.assertEqual(empath.ask("service.safety.senders.stopped()"), [])

    @staticmethod
    def status(message: str) -> str:
        """
        Ask how the deliveries of a message stand.
        """
        page = f"service.spool.select(Selection(queue_id='{message}'), ('', ''), 10)"
        return f"{page}.addCallback(lambda page: [each.status.value for each in page.deliveries])"


class RepairTests(SafetyCase):
    """
    Faults from inside, and from below.
    """

    def test_a_delivery_that_gets_lost_is_found(self) -> None:
        """
        The watchdog counts it, says so, and has it delivered.
        """
        empath = self.controlled({"delivery": {"max_parallel_deliveries": 1}})
        empath.start()
        self.server.script.on("CONTENT", Wait(3.0), 1)
        self.send(empath, ["first@one.test"])
        empath.wait_for("service.queue.in_flight == 1")
        lost = self.send(empath, ["lost@two.test"])
        empath.wait_for("service.queue.active == 2")
        empath.ask("[line.waiting.clear() for line in service.queue.window.lines.by_domain.values()] and None")
        self.wait_arrived(self.server, "first@one.test")
        self.send(empath, ["next@one.test"])
        self.wait_arrived(self.server, "next@one.test")
        self.assertEqual(
            (self.server.arrived("lost@two.test"), self.metric(empath, "empath_delivery_strays_total")), ([], 0)
        )
        empath.ask("service.queue.watchdog.look()")
        self.arrived("lost@two.test")
        self.assertGreater(self.metric(empath, "empath_delivery_strays_total"), 0)
        self.assertTrue(empath.logged("critical", "not where they should be"), lost)

    def test_an_attempt_that_does_not_end(self) -> None:
        """
        It is cut short past its deadline, counted, and repeated.
        """
        empath = self.controlled()
        empath.start()
        self.server.script.on("CONTENT", Wait(600.0), 1)
        late = self.send(empath, ["late@one.test"])
        self.wait_arrived(self.server, "late@one.test")  # what is cut off before would not be repeated, but begun
        empath.ask("[setattr(entry, 'deadline', 0.0) for entry in service.queue.window.active.values()] and None")
        empath.ask("service.queue.watchdog.look()")
        wait_until("repeated", lambda: len(self.server.arrived("late@one.test")) == 2)
        self.assertEqual(self.metric(empath, "empath_delivery_overdue_attempts_total"), 1)
        self.assertTrue(empath.logged(late, "did not end in time"))

    def test_content_that_cannot_be_deleted(self) -> None:
        """
        It is tried again, then given up loudly; the message is not sent again, and the next start deletes what is left.
        """
        empath = self.controlled({"delivery": {"cleanup_interval": "1s", "max_cleanup_attempts": 2}})
        empath.start()
        self.server.script.on("CONTENT", Wait(2.0), 1)
        message = queue_id(
            self.attempt(empath, ["you@one.test"], keyed("", 3000).replace(b"Idempotency-Key: \r\n", b""))
        )
        [content] = (empath.spool / "content").rglob(message)
        self.arrived()  # the answer to the final dot is still to come
        kept = content.with_name("kept")
        content.rename(kept)
        content.mkdir()
        (line,) = empath.wait_logged("critical", message)
        self.assertIn(f"{message}: content file could not be deleted in 2 attempts since ", line)
        self.assertEqual(self.metric(empath, "empath_spool_cleanups_given_up_total"), 1)
        self.assertEqual(self.metric(empath, "empath_spool_deletion_failures_total"), 3)
        self.arrived()
        empath.kill()
        content.rmdir()
        kept.rename(content)
        empath.start()
        wait_until("swept", lambda: not content.exists())
        wait_until("counted", lambda: self.metric(empath, "empath_spool_orphans") == 1)
        self.send(empath, ["last@one.test"])
        self.wait_arrived(self.server, "last@one.test")
        self.arrived()
