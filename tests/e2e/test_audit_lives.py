"""
Each life that a message can have, and each command about it, leaves the records that docs/audit.md promises.
"""

from __future__ import annotations

import json
from typing import Any

from empath.audit.verifying import verify
from empath.control.client import ControlClient
from empath.control.faults import NotFoundThere
from empath.control.terms.managing import Bounce, Delete, Freeze, Hold, Release, Retry, Unfreeze
from empath.control.terms.queue import Filter, ListQueue, ViewMessage
from empath.control.terms.safety import Suppress, Unsuppress
from empath.mail.queue_id import queue_id_at
from tests.e2e.dialogue import queue_id
from tests.e2e.harness import SENDER, EndToEndTestCase, message, smarthost
from tests.e2e.processes import wait_until
from tests.e2e.program import Empath, Settings, merged
from tests.e2e.scripted import says
from tests.e2e.serving import HARNESS_PYTHONPATH

MODULES = [
    {"factory": "tests.e2e.house_rules.Obedient"},
    {"factory": "access", "options": {"rules": ['hold sender waits@origin.test "to be looked at"']}},
    {"factory": "alias", "options": {"aliases": {"club@one.test": ["first@one.test", "second@one.test"]}}},
]
Told = tuple[str, str, str]
"""
Event, action and result of a record.
"""


class LivesTests(EndToEndTestCase):
    """
    One instance, whose mail goes to one peer, which refuses nobody@ for good and busy@ for now.
    """

    def started(self, settings: Settings | None = None) -> Empath:
        """
        Start both.
        """
        server = self.peer("127.0.0.11")
        server.script.on("RCPT", says(550, "5.1.1 who is that"), argument="nobody@")
        server.script.on("RCPT", says(451, "4.2.1 mailbox is busy"), argument="busy@")
        usual: dict[str, Any] = {
            "delivery": {"base_retry_delay": "1h", "max_retry_delay": "1h", "suppression": {"enabled": True}},
            "modules": MODULES,
        }
        base = merged(smarthost(server), usual)
        self.mta = self.empath(merged(base, settings or {}), environment=HARNESS_PYTHONPATH)
        self.mta.start()
        self.control = ControlClient(self.mta.control_socket)
        self.addCleanup(self.control.close)
        return self.mta

    def records(self) -> list[dict[str, Any]]:
        """
        Read what is in the file by now.
        """
        text = (self.mta.folder / "audit.jsonl").read_text()
        return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]

    def life(self, queue_id: str) -> list[Told]:
        """
        Tell the life of a message, without control commands.
        """
        about = [each for each in self.records() if each["message_id"] == queue_id and each["event"] != "control"]
        return [(each["event"], each["action"], each["result"]) for each in about]

    def assert_life(self, queue_id: str, *told: Told) -> None:
        """
        The life of a message becomes this, and the trail is sound.
        """
        try:
            wait_until("told", lambda: len(self.life(queue_id)) >= len(told))
        finally:
            self.assertEqual(self.life(queue_id), list(told))
        self.assertEqual(verify(self.mta.folder / "audit.jsonl").findings, ())

    def about(self, queue_id: str, event: str) -> dict[str, Any]:
        """
        Give the one record of an event in a message's life.
        """
        [found] = [each for each in self.records() if each["message_id"] == queue_id and each["event"] == event]
        return found

    def assert_commanded(self, verb: str, queue_id: str = "") -> dict[str, Any]:
        """
        The last command was told with who, what and the result.
        """
        wait_until(verb, lambda: any(each["action"] == verb for each in self.records()))
        told = [each for each in self.records() if each["action"] == verb][-1]
        self.assertEqual((told["event"], told["resource"], told["result"]), ("control", "control", "ok"))
        self.assertEqual(told["message_id"], queue_id)
        self.assertIn("uid", told["actor"])
        return told

    RECEIVED = ("received", "receive", "ok")
    DELIVERED = ("delivered", "deliver", "ok")
    DEFERRED = (("attempt", "attempt", "deferred"), ("retry", "deliver", "deferred"))
    FAILED = (("attempt", "attempt", "failed"), ("failed", "deliver", "failed"))

    def test_delivered_also_to_the_recipients_of_an_alias(self) -> None:
        self.started()
        found = self.send(self.mta, ["club@one.test"])
        self.assert_life(found, self.RECEIVED, self.DELIVERED)
        self.assertEqual(self.about(found, "received")["recipients"], ["first@one.test", "second@one.test"])
        self.assertEqual(self.about(found, "delivered")["recipients"], ["first@one.test", "second@one.test"])

    def test_deferred_and_then_retried_held_released_and_deleted_by_an_operator(self) -> None:
        self.started()
        found = self.send(self.mta, ["busy@one.test"])
        self.assert_life(found, self.RECEIVED, *self.DEFERRED)
        self.assertTrue(self.about(found, "retry")["metadata"]["next_attempt"])
        one, pieces = Filter(queue_id=found), list[Any]()
        self.control.follow(Hold(one, "to look at"), pieces.append)
        self.assertEqual(self.assert_commanded("queue.hold", found)["metadata"]["arguments"]["reason"], "to look at")
        self.control.follow(Release(one), pieces.append)
        so_far = [self.RECEIVED, *self.DEFERRED, ("held", "hold", "ok"), ("released", "release", "ok"), *self.DEFERRED]
        self.assert_life(found, *so_far)
        self.control.follow(Hold(one), pieces.append)
        self.control.follow(Retry(one, force=True), pieces.append)
        so_far += [("held", "hold", "ok"), ("retried", "retry", "ok"), *self.DEFERRED]
        self.assert_life(found, *so_far)
        self.control.follow(Delete(one), pieces.append)
        self.assert_life(found, *so_far, ("deleted", "delete", "ok"))
        self.assert_commanded("queue.delete", found)

    def test_failed_and_its_sender_gets_a_report(self) -> None:
        self.started()
        found = self.send(self.mta, ["nobody@one.test"])
        self.assert_life(found, self.RECEIVED, *self.FAILED, ("bounced", "report", "ok"))
        self.assertEqual(self.about(found, "failed")["reply"], "550 5.1.1 who is that")
        report = self.about(found, "bounced")["metadata"]["report"]
        self.assert_life(report, ("queued", "queue", "ok"), self.DELIVERED)
        self.assertEqual(self.about(report, "queued")["recipients"], [SENDER])

    def test_failed_and_nobody_is_told(self) -> None:
        self.started()
        found = self.send(self.mta, ["nobody@one.test"], sender="")
        wait_until("told", lambda: len(self.life(found)) == 4)
        told = {self.RECEIVED, *self.FAILED, ("bounced", "report", "dropped")}  # in whatever order at that moment
        self.assertEqual(set(self.life(found)), told)

    def test_bounced_by_an_operator(self) -> None:
        self.started()
        found = self.send(self.mta, ["busy@one.test"])
        self.assert_life(found, self.RECEIVED, *self.DEFERRED)
        self.control.follow(Bounce(Filter(queue_id=found), "gone"), lambda _: None)
        wait_until("bounced", lambda: ("bounced", "report", "ok") in self.life(found))
        self.assertIn(("bounced", "bounce", "ok"), self.life(found))

    def test_expired(self) -> None:
        self.started({"delivery": {"message_expiration": "1s", "expiry_interval": "1s", "base_retry_delay": "1s"}})
        found = self.send(self.mta, ["busy@one.test"])
        wait_until("expired", lambda: "expired" in {event for event, _, _ in self.life(found)})
        wait_until("told", lambda: ("bounced", "report", "ok") in self.life(found))

    def test_held_by_a_module_as_it_came(self) -> None:
        self.started()
        found = self.send(self.mta, ["one@one.test"], sender="waits@origin.test")
        self.assert_life(found, self.RECEIVED, ("held", "hold", "ok"))
        self.assertTrue(self.about(found, "held")["metadata"]["why"])

    def test_discarded_by_a_module(self) -> None:
        self.started()
        reply = self.attempt(self.mta, ["one@one.test"], message("discard"))
        self.assertEqual(reply.code, 250)
        wait_until("told", lambda: any(each["event"] == "discarded" for each in self.records()))
        [told] = [each for each in self.records() if each["event"] == "discarded"]
        self.assertEqual((told["result"], told["metadata"]["module"]), ("ok", "obedient"))
        self.assertEqual(told["metadata"]["why"], "asked to: obedient")

    def test_refused_by_a_module(self) -> None:
        self.started()
        self.assertEqual(self.attempt(self.mta, ["refuse@one.test"]).code, 550)
        wait_until("told", lambda: any(each["event"] == "refused" for each in self.records()))
        [told] = [each for each in self.records() if each["event"] == "refused"]
        self.assertEqual((told["action"], told["result"], told["recipients"]), ("RCPT", "refused", ["refuse@one.test"]))
        self.assertEqual(told["metadata"]["module"], "obedient")

    def test_a_copy_under_the_same_key(self) -> None:
        self.started()
        content = b"Subject: key\r\nIdempotency-Key: one\r\n\r\nhello\r\n"
        found = queue_id(self.attempt(self.mta, ["one@one.test"], content))
        self.assert_life(found, self.RECEIVED, self.DELIVERED)
        self.assertEqual(queue_id(self.attempt(self.mta, ["one@one.test"], content)), found)
        self.assert_life(found, self.RECEIVED, self.DELIVERED, ("discarded", "receive", "duplicate"))

    def test_suppressed_addresses_and_frozen_domains(self) -> None:
        self.started()
        self.control.ask(Suppress("one@one.test", "asked for it"))
        self.assert_commanded("suppression.add")
        self.assertIn(self.attempt(self.mta, ["one@one.test"]).code, (250, 550))
        self.control.ask(Unsuppress("one@one.test"))
        self.control.ask(Freeze("one.test"))
        self.control.ask(Unfreeze("one.test"))
        self.assert_commanded("queue.unfreeze")
        events = [each["event"] for each in self.records()]
        for event in ("suppressed", "unsuppressed", "frozen", "unfrozen"):
            self.assertEqual(events.count(event), 1, event)

    def test_commands_are_told_with_their_results_and_what_is_asked_again_once(self) -> None:
        self.started()
        for _ in range(5):
            self.control.ask(ListQueue(Filter(all=True)))
        self.assertRaises(NotFoundThere, self.control.ask, ViewMessage(queue_id_at(1.0)))
        self.control.ask(Suppress("long@one.test", "x" * 150))
        wait_until("told", lambda: any(each["action"] == "suppression.add" for each in self.records()))
        told = [each for each in self.records() if each["event"] == "control" and each["resource"] == "control"]
        self.assertEqual([each["action"] for each in told], ["queue.list", "queue.view", "suppression.add"])
        self.assertNotEqual(told[1]["result"], "ok")
        self.assertEqual([each["metadata"]["changes"] for each in told], [False, False, True])
