"""
empathctl in a terminal, with an operator before it: full-screen views, questions, progress.

The screens are kept in docs/screens and shown in the docs; EMPATH_KEEP_SCREENS=1 takes them anew.
"""

from __future__ import annotations

import re
import time

from empath.control.client import ControlClient
from empath.control.terms.managing import GetQueueStats
from tests.e2e.harness import EndToEndTestCase
from tests.e2e.processes import wait_until
from tests.e2e.program import Empath
from tests.e2e.scripted import says
from tests.e2e.terminal import Session, skeleton

BULK = "bulk@origin.test"
MANY = 3000


class TerminalTestCase(EndToEndTestCase):
    """
    An MTA with mail in many states.
    """

    def session(
        self, empath: Empath, *arguments: str, columns: int = 100, lines: int = 24, sip: int = 65536
    ) -> Session:
        """
        Sit down at a terminal.
        """
        session = Session(empath.control_socket, *arguments, columns=columns, lines=lines, sip=sip)
        self.addCleanup(session.child.close, True)
        return session

    def done(self, empath: Empath, *arguments: str) -> None:
        """
        Run a verb to its end.
        """
        self.assertEqual(self.session(empath, *arguments).ended(), 0)

    def busy(self) -> Empath:
        """
        Start an MTA of which one site takes mail, one puts it off, one is down, and one is frozen.
        """
        self.peer("127.0.0.11")
        busy = self.peer("127.0.0.12")
        busy.script.on("RCPT", says(451, "4.2.0 mailbox busy"), argument="late@")
        at = {
            "takes.test": f"127.0.0.11:{self.peer_port}",
            "busy.test": f"127.0.0.12:{self.peer_port}",
            "down.test": f"127.0.0.21:{self.peer_port}",
            "frozen.test": f"127.0.0.22:{self.peer_port}",
        }
        breaker = {"failure_threshold": 1, "timeout": "1h"}
        routes = {domain: {"mx_override": host} for domain, host in at.items()}
        delays = {"base_retry_delay": "10m", "max_retry_delay": "1h"}
        instance = self.empath({"delivery": {"domains": routes, "circuit_breaker": breaker, **delays}})
        instance.start()
        self.done(instance, "queue", "freeze", "--domain", "frozen.test")
        for domain in at:
            self.send(instance, [f"late@{domain}"])
        self.send(instance, ["soon@frozen.test"])
        instance.wait_logged("late@takes.test", "status=sent")
        instance.wait_logged("late@busy.test", "status=deferred")
        instance.wait_logged("late@down.test", "status=deferred")
        return instance


class TopTests(TerminalTestCase):
    """
    Requirements on `system top`.
    """

    def test_it_shows_all_at_once_and_survives_a_restart(self) -> None:
        """
        It is drawn, sorted, paused, made narrow; it says that the MTA is gone, finds it again, and ends in peace.
        """
        empath = self.busy()
        top = self.session(empath, "system", "top", "--interval", "0.3")
        top.wait("frozen: frozen.test")
        top.compare("top", still)
        top.press("sss")
        top.press("p")
        top.wait("PAUSED")
        top.press("p")
        top.wait("not paused", lambda screen: "PAUSED" not in screen)
        top.resize(70, 16)
        top.compare("top-narrow", lambda screen: "LIMIT" not in screen and "retry 2" in screen and "in 0.0" in screen)
        top.resize(100, 24)
        empath.stop()
        gone = top.wait("trying again")
        self.assertIn("frozen: frozen.test", gone)
        empath.start()
        top.wait("found again", lambda screen: "trying again" not in screen and "up " in screen)
        top.press("q")
        self.assertEqual(top.ended(), 0)

    def test_an_interrupt_ends_it_too(self) -> None:
        """
        The terminal is as before.
        """
        empath = self.empath()
        empath.start()
        top = self.session(empath, "system", "top")
        top.wait("q quit")
        top.press("\x03")
        self.assertEqual(top.ended(), 0)
        self.assertIn(b"\x1b[?1049l", top.raw)
        self.assertTrue(top.raw.rstrip().endswith(b"\x1b[?25h") or b"\x1b[?25h" in top.raw)


class WatchTests(TerminalTestCase):
    """
    Requirements on `queue stats --watch`.
    """

    def test_it_follows_the_queue_on_one_connection_and_through_a_restart(self) -> None:
        """
        Numbers change where they stand.
        """
        empath = self.busy()
        watch = self.session(empath, "queue", "stats", "--watch", "--interval", "0.2")
        watch.compare("queue-stats", lambda screen: "down.test" in screen)
        before = watch.sockets()
        self.send(empath, ["another@frozen.test"])
        watch.wait(
            "one more", lambda screen: any("frozen.test" in line and " 3 " in line for line in screen.splitlines())
        )
        self.assertEqual((len(before), watch.sockets()), (1, before))
        empath.stop()
        watch.wait("Trying again")
        empath.start()
        watch.wait("found again", lambda screen: "Trying again" not in screen and "frozen.test" in screen)
        watch.press("\x03")
        self.assertEqual(watch.ended(), 0)


class TraceTests(TerminalTestCase):
    """
    Requirements on `smtp trace`.
    """

    def test_both_dialogues_of_a_message_are_seen_as_they_are_spoken(self) -> None:
        """
        How it came, how it was handed on; ^C ends it in peace.
        """
        empath = self.busy()
        trace = self.session(empath, "smtp", "trace", "--domain", "takes.test", columns=120, lines=40)
        trace.wait("Following")
        self.send(empath, ["soon@takes.test"])
        trace.compare("trace", lambda screen: "* closed" in screen and screen.count("250 2.0.0 Ok") == 4, by_line)
        trace.press("\x03")
        self.assertEqual(trace.ended(), 0)
        self.assertRegex(trace.text(), r"\d+ lines\.")


class BulkTests(TerminalTestCase):
    """
    Requirements on bulk verbs.
    """

    def test_deleting_much_asks_shows_progress_and_tells_the_result(self) -> None:
        """
        A no deletes nothing; a yes deletes that and nothing else.
        """
        empath = self.empath()
        empath.start()
        self.done(empath, "queue", "freeze")
        for part in range(MANY // 1000):
            self.send(empath, [f"you@d{part}-{each}.test" for each in range(1000)], sender=BULK)
        self.send(empath, ["you@other.test"])
        declined = self.session(empath, "queue", "delete", "--sender", BULK)
        question = f"Delete {MANY:,} deliveries from <{BULK}>? Nobody gets a report. [y/N]"
        declined.wait(question)
        declined.press("n\r")
        self.assertNotEqual(declined.ended(), 0)
        bulk = self.session(empath, "queue", "delete", "--sender", BULK, sip=64)
        bulk.wait(question)
        bulk.press("y\r")
        bulk.compare("delete", lambda screen: re.search(rf"00 of {MANY:,} \d:\d\d:\d\d", screen) is not None)
        bulk.compare("deleted", lambda screen: f"{MANY:,} deliveries deleted." in screen)
        self.assertEqual(bulk.ended(), 0)
        left = self.session(empath, "queue", "count", "--all")
        left.ended()
        self.assertEqual(left.text(), "1")

    def test_an_interrupt_stops_it_and_tells_how_far_it_came(self) -> None:
        """
        What it told is done, the MTA stops at the end of a slice, and what is left can be deleted later.
        """
        empath = self.empath()
        empath.start()
        self.done(empath, "queue", "freeze")
        for part in range(MANY // 1000):
            self.send(empath, [f"you@d{part}-{each}.test" for each in range(1000)], sender=BULK)
        bulk = self.session(empath, "queue", "hold", "--sender", BULK, sip=64)
        bulk.wait("one slice", lambda screen: re.search(r"[2-9]00\b", screen) is not None)
        bulk.press("\x03")
        self.assertEqual(bulk.ended(), 130)
        told = re.search(r"so far ([\d,]+) deliveries held", bulk.text())
        if told is None:
            raise AssertionError(bulk.text())
        with ControlClient(empath.control_socket) as client:
            held = client.ask(GetQueueStats()).counts["held"]
            time.sleep(1)  # in which it would come to the end, if it went on
            self.assertEqual(client.ask(GetQueueStats()).counts["held"], held)
        self.assertLessEqual(int(told[1].replace(",", "")), held)
        self.assertLess(held, MANY)

    def test_the_story_of_a_message_is_one_screen(self) -> None:
        """
        What holds it, where it goes and when it expires.
        """
        empath = self.busy()
        queue_id = self.send(empath, ["late@busy.test", "soon@busy.test"])
        self.wait_deferred(empath, queue_id, 1)
        for attempts in (2, 3):
            self.done(empath, "queue", "retry", queue_id)
            self.wait_deferred(empath, queue_id, attempts)
        story = self.session(empath, "queue", "explain", queue_id, lines=40)
        self.assertEqual(story.ended(), 0)
        self.assertIn("451 4.2.0 mailbox busy", story.text())
        story.compare("explain", bool)

    def wait_deferred(self, empath: Empath, queue_id: str, times: int) -> None:
        """
        Wait until a message was put off so many times.
        """
        wait_until("put off", lambda: len(empath.logged(queue_id, "status=deferred")) >= times)


def by_line(screen: str) -> list[str]:
    """
    Give what is always the same of lines that come in any order.
    """
    return sorted(skeleton(line) for line in screen.splitlines())


def still(screen: str) -> bool:
    """
    Tell whether nothing moves any more, and all was counted.
    """
    rates = re.findall(r"(\d[\d.,]*)/s", screen)
    return len(rates) == 6 and not any(map(float, rates)) and "no sessions" in screen and "retry 2" in screen
