"""
Mail that is written into a folder, and mail that goes nowhere.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from typing import Any

import attrs
from twisted.internet.defer import CancelledError, Deferred, execute
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from empath.deliver import durable, file
from empath.deliver.discard import DiscardAgent
from empath.deliver.file import FileAgent, file_name
from empath.errors import SpoolError
from empath.folders import sync_folder
from empath.interfaces import IAgent
from empath.mail.attempt import Attempt
from empath.mail.message import Delivery, Message
from empath.mail.outcome import Custody, Outcome
from empath.policy.route import Route
from tests.deliver.maildir_case import recorded
from tests.deliver.world import BODY, CONTENT, Reader, message, one_delivery, spell

WRITTEN = ["Success 250 2.0.0"]
LARGE = message(body=None, size=len(CONTENT))


class FileTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = os.path.abspath(self.mktemp())
        self.path = os.path.join(self.folder, "mail")
        os.mkdir(self.folder)
        self.clock = Clock()
        self.clock.advance(2000)
        self.pieces: list[bytes | Exception] = [BODY[:3], BODY[3:]]
        self.readers: list[Reader] = []
        self.calls: list[tuple[Deferred[Any], Callable[[], Any]]] | None = None
        self.agent = self.made(self.path)

    def made(self, path: str) -> FileAgent:
        """
        Make the agent.
        """
        return FileAgent(self.clock, self.open_body, self.in_thread, lambda _: Route(strategy="file", path=path))

    def open_body(self, _: Message) -> Reader:
        self.readers.append(Reader(self.pieces))
        return self.readers[-1]

    def in_thread(self, call: Callable[[], Any]) -> Deferred[Any]:
        """
        Run at once, or keep it while `calls` is a list.
        """
        if self.calls is None:
            return execute(call)
        waiting: Deferred[Any] = Deferred()
        self.calls.append((waiting, call))
        return waiting

    def run_calls(self) -> None:
        """
        Run what was kept, to the end.
        """
        calls, self.calls = self.calls or [], None
        for waiting, call in calls:
            execute(call).chainDeferred(waiting)

    def start(self, carried: Message) -> Deferred[tuple[Outcome, ...]]:
        return Deferred.fromCoroutine(self.agent.deliver(carried, one_delivery(carried), Attempt(1, 2000.0)))

    def deliver(self, carried: Message) -> list[str]:
        """
        Make a delivery.
        """
        return spell(self.successResultOf(self.start(carried)))

    def names(self) -> list[str]:
        """
        List the folder.
        """
        return sorted(os.listdir(self.path))

    def read(self, kind: str) -> bytes:
        """
        Read the only file of a kind.
        """
        [name] = [name for name in self.names() if name.endswith(kind)]
        with open(os.path.join(self.path, name), "rb") as opened:
            return opened.read()

    def test_keeps_the_promises_of_an_agent(self) -> None:
        self.assertTrue(verifyObject(IAgent, self.agent))
        self.assertIsNone(self.agent.stop())

    def test_a_delivery_becomes_two_files(self) -> None:
        """
        One for all its recipients: the mail as it is stored, and what is known of it.
        """
        carried = message("b@example.org", "c@example.org", metadata={"a": "b"}, trace="t")
        outcomes = self.successResultOf(self.start(carried))
        self.assertEqual(spell(outcomes), WRITTEN * 2)
        self.assertEqual(getattr(outcomes[0], "custody", None), Custody.DELIVERED)
        base = file_name(carried, one_delivery(carried))
        self.assertEqual(self.names(), [f"{base}.eml", f"{base}.json"])
        self.assertTrue(base.startswith(f"{carried.queue_id}-"))
        self.assertEqual(self.read("eml"), CONTENT)
        told = json.loads(self.read("json"))
        self.assertEqual(
            [each["address"] for each in told["envelope"]["recipients"]], ["b@example.org", "c@example.org"]
        )
        self.assertEqual(
            (told["envelope"]["sender"], told["metadata"], told["trace"]), ("a@example.net", {"a": "b"}, "t")
        )
        self.assertEqual((told["version"], told["size"], told["attempt"]), (1, len(CONTENT), 1))
        self.assertEqual(told["written"], "1970-01-01T00:33:20.000Z")
        modes = [os.stat(os.path.join(self.path, name)).st_mode & 0o777 for name in (".", *self.names())]
        self.assertEqual(modes, [0o700, 0o600, 0o600])

    def test_content_in_a_file_is_streamed(self) -> None:
        self.assertEqual(self.deliver(LARGE), WRITTEN)
        self.assertEqual(self.read("eml"), CONTENT)
        self.assertTrue(self.readers[0].closed)

    def test_deliveries_of_one_message_to_several_domains_do_not_meet(self) -> None:
        carried = message("b@example.org")
        here = one_delivery(carried)
        there = attrs.evolve(here, domain="example.com")
        for each in (here, there):
            self.successResultOf(Deferred.fromCoroutine(self.agent.deliver(carried, each, Attempt(1, 0.0))))
        self.assertEqual(len(self.names()), 4)

    def test_not_twice_after_a_crash(self) -> None:
        """
        What is there counts as delivered, once its name is on disk; of half a pair both are written again.
        """
        for carried in (message(), LARGE):
            self.deliver(carried)
            [json_name] = [name for name in self.names() if name.endswith("json")]
            before = os.stat(os.path.join(self.path, json_name)).st_ino
            done: list[str] = []
            self.patch(file, "sync_folder", recorded(done, "sync", sync_folder))
            outcomes = self.successResultOf(self.start(carried))
            self.assertEqual((outcomes[0].reply.lines, done), (("written to a file before",), ["sync"]))
            self.assertEqual(os.stat(os.path.join(self.path, json_name)).st_ino, before)
            os.unlink(os.path.join(self.path, json_name))
            self.pieces = [BODY]
            self.assertEqual(self.successResultOf(self.start(carried))[0].reply.lines, ("written to a file",))
            self.assertEqual(self.read("eml"), CONTENT)
            self.assertTrue(self.read("json"))
            for name in self.names():
                os.unlink(os.path.join(self.path, name))
            self.pieces = [BODY]

    def test_who_was_not_written_for_before_is(self) -> None:
        """
        Mail that failed for one recipient, and is tried again for him later, is no repetition of what others have.
        """
        both = message("a@example.org", "b@example.org")
        delivery = one_delivery(both)
        first = attrs.evolve(delivery, recipients=delivery.recipients[:1])
        second = attrs.evolve(delivery, recipients=delivery.recipients[1:])

        def told(each: Delivery) -> str:
            running = Deferred.fromCoroutine(self.agent.deliver(both, each, Attempt(1, 2000.0)))
            [outcome] = self.successResultOf(running)
            return str(outcome.reply)

        self.assertEqual(told(first), "250 2.0.0 written to a file")
        self.assertEqual(told(second), "250 2.0.0 written to a file")
        self.assertEqual([told(each) for each in (first, second)], ["250 2.0.0 written to a file before"] * 2)
        self.assertEqual(len(self.names()), 4)
        for name in self.names():
            self.assertTrue(name.startswith(file_name(both, delivery)), name)

    def test_a_description_that_nobody_can_read_is_written_anew(self) -> None:
        carried = message()
        self.deliver(carried)
        name = file_name(carried, one_delivery(carried))
        for broken in (b"", b"{}", b"[]", b'{"envelope": {"recipients": [5]}}', b"\xff"):
            with open(os.path.join(self.path, name + ".json"), "wb") as file:
                file.write(broken)
            self.assertEqual(self.deliver(carried), WRITTEN)
            self.assertEqual(json.loads(self.read("json"))["queue_id"], carried.queue_id)

    def test_folders_that_were_made_last(self) -> None:
        """
        Each of them is in its own folder for good.
        """
        synced: list[str] = []
        self.patch(durable, "sync_folder", synced.append)
        durable.make_folder(os.path.join(self.folder, "a", "b", "c"))
        self.assertEqual(synced, [self.folder, os.path.join(self.folder, "a"), os.path.join(self.folder, "a", "b")])
        self.assertEqual(os.stat(os.path.join(self.folder, "a", "b", "c")).st_mode & 0o777, 0o700)
        synced.clear()
        durable.make_folder(os.path.join(self.folder, "a", "b"))
        self.assertEqual(synced, [])

    def test_what_a_crash_left_half_written_is_written_over(self) -> None:
        base = file_name(message(), one_delivery(message()))
        os.mkdir(self.path)
        for kind in ("eml", "json"):
            with open(os.path.join(self.path, f".{base}.{kind}.tmp"), "wb") as left:
                left.write(b"x" * 5000)
        self.assertEqual(self.deliver(message()), WRITTEN)
        self.assertEqual((self.read("eml"), len(self.names())), (CONTENT, 2))

    def test_durable_before_it_counts(self) -> None:
        """
        Both files are synced before they have their names, the folder after that; the description comes last.
        """
        done: list[str] = []
        real = os.rename

        def renamed(source: str, target: str) -> None:
            done.append(f"rename {os.path.splitext(target)[1]}")
            real(source, target)

        self.patch(os, "fsync", recorded(done, "sync", os.fsync))
        self.patch(os, "rename", renamed)
        os.mkdir(self.path)
        self.assertEqual(self.deliver(message()), WRITTEN)
        self.assertEqual(done, ["sync", "rename .eml", "sync", "rename .json", "sync"])

    def test_trouble_with_the_disk(self) -> None:
        """
        A full disk answers 452, other trouble 451; nothing is left behind.
        """
        for code, reply in ((errno.ENOSPC, "452 4.3.1"), (errno.EDQUOT, "452 4.3.1"), (errno.EIO, "451 4.3.0")):
            for carried in (message(), LARGE):
                self.refuse("fsync", code)
                self.assertEqual(self.deliver(carried), [f"TransientFailure {reply}"])
                self.assertEqual(self.names(), [])
                self.pieces = [BODY]

    def refuse(self, name: str, code: int) -> None:
        """
        Let a call of the system fail, once the folder is there.
        """

        def refused(*_: object) -> None:
            raise OSError(code, os.strerror(code))

        os.makedirs(self.path, exist_ok=True)
        self.patch(os, name, refused)

    def test_content_that_cannot_be_read(self) -> None:
        """
        The mail waits; half of it is in no file.
        """
        wrong: list[list[bytes | Exception]] = [[BODY[:3]], [BODY, b"more"], [BODY[:3], SpoolError("gone")]]
        for self.pieces in wrong:
            self.assertEqual(self.deliver(LARGE), ["TransientFailure 451 4.3.0"])
            self.assertEqual(self.names(), [])

    def test_a_bug_keeps_mail(self) -> None:
        self.pieces = [ZeroDivisionError()]
        self.assertEqual(self.deliver(LARGE), ["TransientFailure 451 4.3.0"])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_without_a_path_mail_waits(self) -> None:
        self.agent = self.made("")
        self.assertEqual(self.deliver(message()), ["TransientFailure 451 4.3.5"])

    def test_giving_up_does_not_tear_what_is_being_written(self) -> None:
        """
        The writing goes on, unheard; who comes again meanwhile waits for its end and finds it there. So does the stop.
        """
        self.calls = []
        first = self.start(message())
        first.cancel()
        self.failureResultOf(first, CancelledError)
        second = self.start(message())
        stopping = self.agent.stop()
        assert stopping is not None
        self.assertNoResult(second)
        self.assertNoResult(stopping)
        self.run_calls()
        self.assertEqual(self.successResultOf(second)[0].reply.lines, ("written to a file before",))
        self.successResultOf(stopping)
        self.assertEqual(len(self.names()), 2)


class DiscardTests(SynchronousTestCase):
    def test_nothing_is_kept(self) -> None:
        """
        All recipients have it, for ever; content is not even opened.
        """
        clock = Clock()
        clock.advance(7)
        agent = DiscardAgent(clock)
        self.assertTrue(verifyObject(IAgent, agent))
        carried, attempt = message("b@example.org", "c@example.org", body=None), Attempt(1, 5.0)

        async def deliver() -> tuple[Outcome, ...]:
            return await agent.deliver(carried, one_delivery(carried), attempt)

        outcomes = self.successResultOf(Deferred.fromCoroutine(deliver()))
        self.assertEqual([str(each.reply) for each in outcomes], ["250 2.0.0 discarded"] * 2)
        self.assertEqual({getattr(each, "custody", None) for each in outcomes}, {Custody.DELIVERED})
        self.assertEqual(attempt.ended, 7.0)
        agent.stop()
