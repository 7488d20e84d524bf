"""
The audit trail as the service has it: what it starts with, how it tells of itself, what another configuration changes.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.logger import capturedLogs
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from empath.audit.files import rotated
from empath.audit.verifying import verify
from empath.audit.writing import TrailFile
from empath.config.schema import Audit, AuditSyslog, Config
from empath.control.terms.system import AuditState
from empath.errors import AuditError, ConfigError
from empath.mail.life_safety import AddressSuppressed
from empath.observe.life import LifeEvents
from empath.service.auditing import KEEPING_EVERY, Auditing
from empath.service.machine import Machine

NOON = 1_790_000_000.0 // 86400 * 86400 + 43200
DAY = 86400.0


class Reactor(Clock):
    """
    A clock to whose thread calls come at once.
    """

    def callFromThread(self, call: Callable[..., object], *arguments: Any) -> None:
        call(*arguments)


class Pool:
    """
    Threads that are done at once.
    """

    def __init__(self) -> None:
        self.started = False

    def start(self) -> None:
        self.started = True

    def stop(self) -> None:
        self.started = False

    def callInThreadWithCallback(self, told: Callable[..., object], call: Callable[..., Any], *rest: Any) -> None:
        try:
            result = call(*rest)
        except Exception:
            told(False, Failure())
        else:
            told(True, result)


def in_thread(call: Callable[[], Any]) -> Deferred[Any]:
    return succeed(call())


class AuditingTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = Reactor()
        self.reactor.advance(NOON)
        self.folder = Path(self.mktemp()).absolute()
        self.path = self.folder / "audit.jsonl"
        self.pools: list[Pool] = []
        self.events = LifeEvents()

    def make_pool(self, most: int, name: str) -> Pool:
        self.assertEqual((most, name), (1, "empath-audit"))
        self.pools.append(Pool())
        return self.pools[-1]

    def auditing(self, meant: bool = True, **audit: Any) -> Auditing:
        nothing: Any = None
        machine = Machine(random.Random(1), random.Random(1), nothing, nothing, self.make_pool)
        config = Config(hostname="mx.test", audit=Audit(**{"path": str(self.path), **audit}))
        made = Auditing(config, self.reactor, machine, in_thread, meant)
        made.listen(self.events)
        return made

    def stop(self, auditing: Auditing) -> None:
        self.successResultOf(Deferred.fromCoroutine(auditing.stop()))

    def happen(self, address: str = "one@one.test") -> None:
        self.events.emit(AddressSuppressed(address, True, "asked for it"))

    def records(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.path.read_bytes().splitlines()]

    def denied(self) -> None:
        def opened(file: TrailFile, now: float) -> None:
            raise AuditError(f"audit trail: {file.path} cannot be opened: Permission denied", True)

        self.patch(TrailFile, "open", opened)

    def test_what_happens_is_written_and_nothing_is_left_at_the_end(self) -> None:
        auditing = self.auditing()
        auditing.start()
        self.happen()
        self.assertEqual(auditing.state(), AuditState(True, str(self.path), 0, 1, 0, ""))
        self.reactor.advance(0.1)
        self.assertEqual(auditing.figures()["records"], 1)
        self.stop(auditing)
        self.assertEqual([each["action"] for each in self.records()], ["trail-opened", "suppress", "trail-closed"])
        self.assertEqual((self.reactor.getDelayedCalls(), self.pools[0].started), ([], False))
        self.assertTrue(verify(self.path).sound)

    def test_one_that_is_off_does_nothing(self) -> None:
        auditing = self.auditing(enabled=False, durable=True, on_full="stop")

        def has_room(size: int) -> bool:
            return size < 9

        self.assertIs(auditing.room(has_room), has_room)
        auditing.start()
        self.happen()
        self.stop(auditing)
        self.assertEqual((self.pools, self.folder.exists(), self.reactor.getDelayedCalls()), ([], False, []))
        self.assertEqual((auditing.state(), auditing.figures(), auditing.readable), (AuditState(False), {}, False))
        self.assertIsNone(auditing.record(None, None))  # type: ignore[arg-type]  # nobody looks at them
        self.assertEqual(self.successResultOf(Deferred.fromCoroutine(auditing.records("x"))), ())

    def test_a_trail_that_somebody_counts_on_is_not_done_without(self) -> None:
        self.denied()
        for meant, audit in ((True, {}), (False, {"durable": True}), (False, {"on_full": "stop"})):
            auditing = self.auditing(meant, **audit)
            self.assertRaises(AuditError, auditing.start)
            auditing.abandon()
        self.assertFalse(any(pool.started for pool in self.pools))

    def test_one_that_nobody_asked_for_is_done_without_and_told(self) -> None:
        self.denied()
        auditing = self.auditing(meant=False)
        with capturedLogs() as logs:
            auditing.start()
        self.assertEqual(sum("default path" in each["log_format"] for each in logs), 1)
        self.assertIn("Permission denied", auditing.state().trouble)
        self.assertEqual((auditing.figures()["writable"], auditing.readable), (0, False))
        self.happen()
        self.assertEqual(auditing.trail.waiting, 0)
        for audit in ({"durable": True}, {"on_full": "stop"}):
            self.assertRaises(ConfigError, auditing.prepare, attrs.evolve(auditing.section, **audit))
        self.stop(auditing)

    def test_another_configuration_is_used_at_once_or_not_at_all(self) -> None:
        auditing = self.auditing()
        auditing.start()
        use = auditing.prepare(attrs.evolve(auditing.section, redact_recipients=True, durable=True))
        self.happen("first@one.test")
        self.reactor.advance(0.1)
        use()
        self.assertTrue(auditing.trail.durable)
        self.happen("second@one.test")
        wrong = attrs.evolve(auditing.section, sinks=("syslog",), syslog=AuditSyslog("http:nowhere"))
        self.assertRaises(ConfigError, auditing.prepare, wrong)
        self.stop(auditing)
        self.assertEqual([each["recipients"] for each in self.records()[1:3]], [["first@one.test"], ["[redacted]"]])

    def test_mail_waits_for_room_in_the_trail_if_that_is_wanted(self) -> None:
        auditing = self.auditing(on_full="stop")
        room = auditing.room(lambda size: size < 9)
        auditing.start()
        self.assertEqual((room(8), room(9)), (True, False))
        auditing.trail.figures.trouble = "no space left on device"
        self.assertFalse(room(8))
        self.stop(auditing)

    def test_files_are_compressed_and_removed_in_their_time(self) -> None:
        auditing = self.auditing(retention=3 * DAY)
        auditing.start()
        for _ in range(3):
            self.happen()
            self.reactor.advance(0.1)
            self.reactor.advance(DAY)
        self.assertEqual([file.suffix for file in rotated(self.path)], [".gz", ".gz"])
        self.reactor.advance(2_000 * DAY)  # files are as old as the real clock has them
        self.reactor.advance(0.1)
        self.reactor.advance(KEEPING_EVERY)
        self.assertEqual(rotated(self.path), [])
        self.stop(auditing)
        self.assertTrue(verify(self.path).sound)
        removed = [each["metadata"] for each in self.records() if each["action"] == "files-removed"]
        names = [name for each in removed for name in each["files"]]
        self.assertEqual((names, len(set(names)) > 2), (sorted(set(names)), True))
