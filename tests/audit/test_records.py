"""
What each life event becomes in the trail, and what is kept out of it.
"""

from __future__ import annotations

from typing import Any

import attrs
import msgspec
from twisted.trial.unittest import SynchronousTestCase

from empath.audit.capturing import Capturing
from empath.audit.making import Capture, Maker, Redaction
from empath.mail import life, life_safety
from empath.mail.address import Address
from empath.mail.decision import Decision
from empath.mail.message import Status
from empath.mail.notice import Action
from empath.mail.reply import Reply
from empath.mail.session import Transaction
from empath.observe.life import LifeEvents
from tests.observe import made

EVENTS = (
    ("received", life.MessageReceived(made.message(), made.session(login="anna", tls="TLSv1.3"), 0.25)),
    ("queued", life.MessageReceived(made.message(sender=None), None, 0.0)),
    ("refused", made.refused("550 5.7.1 no", None, "b@dst.test")),
    ("discarded", life.MessageDiscarded(made.message(), made.session(), "module", "why")),
    ("reported", life.ReportQueued(made.message(), made.message(sender=None), Action.DELAYED)),
    ("bounced", life.ReportQueued(made.message(), made.message(sender=None))),
    ("bounced", life.ReportDropped(made.message(), "null sender")),
    ("held", life_safety.DeliveryManaged(made.QUEUE_ID, "dst.test", "held", "why")),
    ("deleted", life_safety.DeliveryManaged(made.QUEUE_ID, "dst.test", "deleted")),
    ("frozen", life_safety.DeliveryFrozen("dst.test", True)),
    ("unfrozen", life_safety.DeliveryFrozen("", False)),
    ("sender-stopped", life_safety.SenderStopped("anna", True, "too many bounces")),
    ("sender-released", life_safety.SenderStopped("anna", False, "")),
    ("suppressed", life_safety.AddressSuppressed("b@dst.test", True, "unknown")),
    ("unsuppressed", life_safety.AddressSuppressed("b@dst.test", False, "operator")),
    ("bounce-received", life_safety.BounceReceived(made.address("b@dst.test"), "failed", "5.1.1", "unknown", "said")),
    ("complaint-received", life_safety.ComplaintReceived(made.address("b@dst.test"), "abuse", "reporter")),
    ("complaint-received", life_safety.ComplaintReceived(None, "abuse", "reporter", made.QUEUE_ID)),
    ("discarded", life_safety.CopyRefused(made.QUEUE_ID, (made.address("b@dst.test"),), made.session())),
    (
        "control",
        life_safety.ControlUsed(
            "root (uid 0)",
            "queue.delete",
            f'{{"filter":{{"queue_id":"{made.QUEUE_ID}"}}}}',
            "ok",
            "1 deleted",
            0.1,
            True,
        ),
    ),
    ("control", life_safety.ControlUsed("uid 7", "queue.list", "no json", "failed", "", 0.1, False)),
)


class RecordTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.captures: list[Capture] = []
        self.weights: list[int] = []
        self.capturing = Capturing(self.take, lambda: 1000.5)
        self.events = LifeEvents()
        self.capturing.listen(self.events.subscribe)

    def take(self, capture: Capture, weight: int) -> None:
        self.captures.append(capture)
        self.weights.append(weight)

    def records(self, event: Any, redaction: Redaction | None = None) -> list[dict[str, Any]]:
        self.captures.clear()
        self.events.emit(event)
        maker = Maker(redaction or Redaction())
        return [msgspec.to_builtins(record) for capture in self.captures for record in maker.make(capture)]

    def test_each_event_has_its_record(self) -> None:
        for name, event in EVENTS:
            [record] = self.records(event)
            self.assertEqual((record["event"], record["time"]), (name, "1970-01-01T00:16:40.500Z"))
            self.assertTrue(record["actor"] and record["resource"] and record["action"] and record["result"], event)

    def test_while_messages_are_traced_each_record_of_one_names_its_trace(self) -> None:
        """
        Whatever is told of it, and in whatever way its metadata are kept; what is about no message names none.
        """
        maker = Maker(Redaction(recipients=True))
        maker.ids_of = lambda queue_id: (f"{queue_id[:4]:0>32}", f"{1:016x}")
        for _, event in EVENTS:
            self.captures.clear()
            self.events.emit(event)
            for record in (record for capture in self.captures for record in maker.make(capture)):
                told = msgspec.to_builtins(record)
                found = told["metadata"].get("trace_id", "")
                self.assertEqual(found, f"{record.message_id[:4]:0>32}" if record.message_id else "", event)

    def test_a_message_that_came_in(self) -> None:
        [record] = self.records(EVENTS[0][1])
        self.assertEqual(record["actor"], "login:anna")
        self.assertEqual((record["sender"], record["recipients"]), ("a@src.test", ["b@dst.test"]))
        self.assertEqual((record["host"], record["duration_ms"]), ("192.0.2.9", 250.0))
        self.assertEqual(record["metadata"]["tls"], "TLSv1.3")
        self.assertEqual(record["metadata"]["size"], 4096)

    def test_what_modules_decided_is_told_with_reasons(self) -> None:
        decision = Decision("data", "spam", "accept", "250 ok", "score 3", shadow=True)
        message = attrs.evolve(made.message(), decisions=(decision, Decision("rcpt_to", "list", "accept")))
        [record] = self.records(life.MessageReceived(message, made.session(), 0.0))
        told = {"hook": "data", "module": "spam", "verdict": "accept", "reply": "250 ok", "why": "score 3"}
        self.assertEqual(record["metadata"]["decisions"][0], {**told, "shadow": True})

    def test_a_message_that_is_held_as_it_comes_in(self) -> None:
        event = life.MessageReceived(made.message(), made.session(), 0.0, "suspicious")
        received, held = self.records(event)
        self.assertEqual((received["event"], held["event"]), ("received", "held"))
        self.assertEqual(held["metadata"], {"why": "suspicious"})

    def test_a_message_that_is_recorded_already_is_not_recorded_again(self) -> None:
        self.assertEqual(self.records(life.MessageReceived(made.message(), made.session(), 0.0, "", True)), [])

    def test_a_refusal_is_told_with_its_reply_and_reason(self) -> None:
        transaction = Transaction(made.QUEUE_ID, 0.0, None, {})
        event = life.CommandAnswered(
            made.session(), "RCPT", Reply.of("451 4.7.1 later"), transaction, made.address("b@dst.test"), "grey", "new"
        )
        [record] = self.records(event)
        self.assertEqual((record["action"], record["result"]), ("RCPT", "deferred"))
        self.assertEqual((record["sender"], record["recipients"]), ("", ["b@dst.test"]))
        self.assertEqual(record["reply"], "451 4.7.1 later")
        self.assertEqual((record["metadata"]["module"], record["metadata"]["why"]), ("grey", "new"))
        [record] = self.records(made.refused("500 5.5.2 what", verb=""))
        self.assertEqual((record["action"], record["sender"], record["result"]), ("unknown", None, "refused"))

    def test_a_delivery_and_the_attempt_that_did_it_are_one_record(self) -> None:
        [delivered] = self.records(made.attempt_ended(made.state(said="250 2.0.0 ok", host="mx.dst.test")))
        self.assertEqual(
            (delivered["event"], delivered["result"], delivered["duration_ms"]), ("delivered", "ok", 2500.0)
        )
        self.assertEqual(delivered["metadata"]["phases_ms"], {"dns": 250.0, "connect": 750.0, "transaction": 1500.0})
        self.assertEqual((delivered["reply"], delivered["host"]), ("250 2.0.0 ok", "mx.dst.test"))
        self.assertEqual((delivered["action"], delivered["attempt"]), ("deliver", 1))

    def test_an_attempt_that_failed_is_told_beside_what_became_of_its_recipient(self) -> None:
        event = made.attempt_ended(made.state(status=Status.FAILED, said="550 5.1.1 no"))
        attempt, failed = self.records(event)
        self.assertEqual((attempt["event"], attempt["result"], failed["event"]), ("attempt", "failed", "failed"))
        self.assertEqual(attempt["metadata"]["address"], "192.0.2.1")
        self.assertNotIn("address", failed["metadata"])

    def test_recipients_that_come_out_alike_are_told_together(self) -> None:
        event = made.attempt_ended(
            made.state("b@dst.test", said="250 2.0.0 ok"),
            made.state("c@dst.test", Status.FAILED, "550 5.1.1 no"),
            made.state("d@dst.test", said="250 2.0.0 ok"),
            made.state("e@dst.test", Status.RETRY, "451 4.7.1 later"),
            made.state("f@dst.test", Status.EXPIRED),
            status=Status.RETRY,
        )
        attempt, *others = self.records(event)
        self.assertEqual((attempt["result"], len(attempt["recipients"])), ("failed", 5))
        told = [(each["event"], each["recipients"]) for each in others]
        delivered, failed, retry, expired = told
        self.assertEqual(delivered, ("delivered", ["b@dst.test", "d@dst.test"]))
        self.assertEqual((failed[0], retry[0], expired[0]), ("failed", "retry", "expired"))

    def test_a_command_about_one_message_is_found_by_its_id(self) -> None:
        [record] = self.records(EVENTS[-2][1])
        self.assertEqual(record["message_id"], made.QUEUE_ID)
        self.assertEqual((record["actor"], record["action"]), ("root (uid 0)", "queue.delete"))
        self.assertEqual(record["metadata"]["detail"], "1 deleted")

    def test_redacted_addresses_are_nowhere(self) -> None:
        both = Redaction(sender=True, recipients=True)
        events = [
            *(event for _, event in EVENTS),
            made.attempt_ended(made.state(status=Status.FAILED, said="550 5.1.1 <b@dst.test>: unknown")),
            life.MessageReceived(made.message(), made.session(login="a@src.test"), 0.1),
            life_safety.ControlUsed("root", "queue.list", '{"filter":{"sender":"a@src.test"}}', "ok", "", 0.1, False),
        ]
        for event in events:
            text = msgspec.json.encode(self.records(event, both)).decode()
            self.assertNotIn("@", text)

    def test_no_spelling_of_an_address_gets_through_redaction(self) -> None:
        both = Redaction(sender=True, recipients=True)
        for said in (
            '"john doe"@dst.test is unknown',
            '<"a \\\\" b"@dst.test>: unknown',
            "o'brien@dst.test is unknown",
            "see https://spf.test/why?id=obrien%40dst.test;ip=192.0.2.1",
            "obrien@[IPv6:2001:db8::1]: unknown",
            "rfc822;obrien+40dst.test",
            "<B@DST.TEST> b@dst.test",
        ):
            event = made.attempt_ended(made.state(status=Status.FAILED, said=f"550 5.1.1 {said}"))
            failed = self.records(event, both)[1]
            for part in ("@", "john", "doe", "brien", "%40", "2001:db8", "dst.test>"):
                self.assertNotIn(part, failed["reply"], said)

    def test_a_local_part_alone_is_redacted_where_it_is_the_recipient(self) -> None:
        event = made.refused("550 5.1.1 <Postmaster>: go away, postmasters", None, "b@dst.test")
        event.recipient = Address("postmaster", "", "postmaster")
        [record] = self.records(event, Redaction(recipients=True))
        self.assertEqual(record["reply"], "550 5.1.1 <[redacted]>: go away, postmasters")

    def test_names_in_arguments_are_redacted_too(self) -> None:
        event = life_safety.ControlUsed("root", "set", '{"limits":{"a@src.test":1}}', "ok", "", 0.1, True)
        [record] = self.records(event, Redaction(sender=True))
        self.assertEqual(record["metadata"]["arguments"], {"limits": {"[redacted]": 1}})

    def test_each_kind_of_address_is_redacted_by_itself(self) -> None:
        [record] = self.records(EVENTS[0][1], Redaction(sender=True))
        self.assertEqual((record["sender"], record["recipients"]), ("[redacted]", ["b@dst.test"]))
        [record] = self.records(EVENTS[0][1], Redaction(recipients=True))
        self.assertEqual((record["sender"], record["recipients"]), ("a@src.test", ["[redacted]"]))
        [record] = self.records(EVENTS[1][1], Redaction(sender=True))
        self.assertEqual(record["sender"], "")

    def test_the_header_is_told_of_only_if_that_is_wanted(self) -> None:
        header = b"To: x\r\nSUBJECT: se\r\n cret\r\nX: y\r\nMessage-ID: <1@src.test>\r\nZ: 1\r\n"
        event = life.MessageReceived(attrs.evolve(made.message(), header=header), made.session(), 0.0)
        [record] = self.records(event)
        self.assertNotIn("subject", record["metadata"])
        self.capturing.with_content = True
        [record] = self.records(event, Redaction(content=False))
        self.assertEqual(record["metadata"]["subject"], "se cret")
        [capture] = self.captures
        self.assertNotIn(b"X: y", capture[-1])
        self.assertEqual(record["metadata"]["header_message_id"], "<1@src.test>")

    def test_what_waits_to_be_written_keeps_no_content_alive(self) -> None:
        message = attrs.evolve(made.message(), body=b"x")
        for event in (
            life.MessageReceived(message, made.session(), 0.0),
            made.attempt_ended(made.state()),
            life.ReportQueued(message, message),
            life.ReportDropped(message, ""),
            life.MessageDiscarded(message, made.session(), "", ""),
        ):
            self.events.emit(event)
        for capture in self.captures:
            self.assertFalse(any(isinstance(each, (type(message), bytes)) and each for each in capture[1:]), capture)
