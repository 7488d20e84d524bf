"""
What next hops are told of a message's trace: a header field in mail, header fields of requests to webhooks.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from empath.config.schema import Delivery as Section
from empath.config.schema import Domain
from empath.deliver.dispatch import Dispatch
from empath.deliver.propagated import baggage_of, field_of
from empath.deliver.routing import Routing
from empath.interfaces import IAgent
from empath.mail.arrival import Arrival
from empath.mail.attempt import Attempt
from empath.mail.message import Message
from empath.mail.origin import TRUSTED
from empath.mail.outcome import Success, TransientFailure
from empath.mail.step import Steps
from empath.mail.trace_context import TraceContext, parse_traceparent, span_id_of, trace_id_of
from empath.net.web_answer import WebAnswer
from empath.policy.route import Route
from tests.deliver.fakes import CHUNKING
from tests.deliver.test_changed import EIGHT, SEVEN_BITS, SIGNATURE, TEXT, Signer
from tests.deliver.test_lmtp import LmtpWorld
from tests.deliver.test_signed import Agent
from tests.deliver.test_webhook import URL, WebhookCase
from tests.deliver.world import CONTENT, HEADER, SENT, Reader, World, message, one_delivery

QUEUE_ID = message().queue_id
TRACE = str(TraceContext(trace_id_of(QUEUE_ID), span_id_of(QUEUE_ID), True))
FIELD = f"traceparent: 00-{trace_id_of(QUEUE_ID)}-{span_id_of(QUEUE_ID, 'example.org', 1)}-01\r\n".encode()
ARRIVAL = Arrival("s", "2001:db8::7", 4711, "0.0.0.0:25", "client", "ESMTP")


class MailTests(SynchronousTestCase):
    """
    Mail that leaves.
    """

    def world(self, **answers: str) -> World:
        """
        Make a world that tells of traces.
        """
        world = World()
        world.server(1, **answers)
        world.agent.propagates = True
        return world

    def test_on_top(self) -> None:
        """
        The field names the message's trace and the attempt's span; it counts for the size that is declared.
        """
        world = self.world()
        self.assertEqual(world.deliver(message(trace=TRACE, arrival=ARRIVAL)), SENT)
        self.assertEqual(world.mx1.contents, [FIELD + CONTENT])
        self.assertIn(f"MAIL FROM:<a@example.net> SIZE={len(FIELD + CONTENT)}", world.mx1.commands)

    def test_nothing_that_says_where_it_came_from(self) -> None:
        """
        Baggage is not for mail.
        """
        world = self.world()
        world.deliver(message(trace=TRACE, arrival=ARRIVAL, priority=3))
        self.assertNotIn(b"baggage", world.mx1.contents[0].lower())
        self.assertNotIn(b"2001:db8::7", world.mx1.contents[0])

    def test_none(self) -> None:
        """
        Mail without a trace goes as it is stored, and so does all mail unless it is asked for.
        """
        world = self.world()
        world.deliver()
        world.deliver(message(trace="of another kind"))
        world.agent.propagates = False
        world.deliver(message(trace=TRACE))
        self.assertEqual(world.mx1.contents, [CONTENT] * 3)

    def test_not_sampled(self) -> None:
        """
        Says so, so that nobody behind us records what has no beginning.
        """
        world = self.world()
        world.deliver(message(trace=TRACE[:-1] + "0"))
        self.assertEqual(world.mx1.contents, [FIELD.replace(b"-01\r\n", b"-00\r\n") + CONTENT])

    def test_each_attempt_has_its_own(self) -> None:
        """
        And each destination.
        """
        carried = message(trace=TRACE)
        delivery = one_delivery(carried)
        fields = {field_of(carried, delivery, Attempt(number, 0.0)) for number in (1, 2)}
        other = message("b@example.com", trace=TRACE)
        fields.add(field_of(other, one_delivery(other), Attempt(1, 0.0)))
        self.assertEqual(len(fields), 3)
        read = [parse_traceparent(field.decode().split(": ")[1].strip()) for field in fields]
        self.assertEqual({each.trace_id for each in read if each is not None}, {trace_id_of(QUEUE_ID)})

    def test_with_a_signature(self) -> None:
        """
        It stands above signatures, which do not cover it, so that they hold.
        """
        world = self.world()
        world.agent.signer = signer = Signer()
        self.assertEqual(world.deliver(message(trace=TRACE, origin=TRUSTED)), SENT)
        self.assertEqual(world.mx1.contents, [FIELD + SIGNATURE + CONTENT])
        self.assertEqual([each.header for each, _ in signer.signed], [HEADER])

    def test_one_that_it_came_with(self) -> None:
        """
        Stays below ours: somebody may have signed it.
        """
        world = self.world()
        world.deliver(message(header=b"traceparent: 00-x\r\n" + HEADER, trace=TRACE, size=19 + len(CONTENT)))
        self.assertEqual(world.mx1.contents, [FIELD + b"traceparent: 00-x\r\n" + CONTENT])

    def test_from_a_file(self) -> None:
        """
        Streamed content gets it, too, in chunks and by DATA.
        """
        for offer in (CHUNKING, SEVEN_BITS):
            world = self.world(EHLO=offer)
            world.reader = Reader([b"\r\n", b"x" * 70000, b"\r\n"])
            carried = message(body=None, size=len(HEADER) + 70004, trace=TRACE)
            self.assertEqual(world.deliver(carried), SENT)
            self.assertEqual(world.mx1.contents, [FIELD + HEADER + b"\r\n" + b"x" * 70000 + b"\r\n"])

    def test_on_what_is_converted(self) -> None:
        """
        It goes on top of a message that becomes 7 bits for its server.
        """
        world = self.world(EHLO=SEVEN_BITS)
        carried = message(header=TEXT, body=EIGHT, size=len(TEXT + EIGHT), eight_bit=True, trace=TRACE)
        self.assertEqual(world.deliver(carried), SENT)
        (content,) = world.mx1.contents
        self.assertTrue(content.startswith(FIELD + b"Subject: x\r\n"), content)
        self.assertTrue(content.isascii())
        self.assertEqual(content.count(b"traceparent"), 1)

    def test_lmtp(self) -> None:
        """
        Gets it as SMTP does.
        """
        world = LmtpWorld()
        world.agent.propagates = True
        self.assertEqual(world.deliver(message(trace=TRACE))[0].split()[0], "Success")
        self.assertEqual(world.lmtp.contents, [FIELD + CONTENT])


class WebhookTests(WebhookCase):
    """
    Requests to webhooks.
    """

    def test_trace_and_baggage(self) -> None:
        """
        The hook, which is the operator's, hears from which address the message came, too.
        """
        self.agent.propagates = True
        self.outcomes(message(trace=TRACE, arrival=ARRIVAL, priority=3))
        fields = self.web.posted[0].fields
        self.assertEqual(f"traceparent: {fields['traceparent']}\r\n".encode(), FIELD)
        self.assertEqual(fields["baggage"], "client_ip=2001:db8::7,message_priority=3")

    def test_none(self) -> None:
        """
        Neither without a trace, nor unless it is asked for.
        """
        self.outcomes(message(trace=TRACE))
        self.agent.propagates = True
        self.outcomes(message())
        self.outcomes(message(trace="of another kind"))
        for posted in self.web.posted:
            self.assertFalse({"traceparent", "baggage"} & set(posted.fields))

    def test_what_the_operator_wrote(self) -> None:
        """
        Is left as it is.
        """
        self.agent.propagates = True
        self.route = Route(strategy="webhook", url=URL, headers=(("Baggage", "mine=1"),))
        self.outcomes(message(trace=TRACE))
        fields = self.web.posted[0].fields
        self.assertEqual(fields["Baggage"], "mine=1")
        self.assertNotIn("baggage", fields)
        self.assertIn("traceparent", fields)

    def test_baggage(self) -> None:
        """
        Of a message of our own there is no client; what could end a value is encoded.
        """
        self.assertEqual(baggage_of(message(priority=-4)), "message_priority=-4")
        odd = Arrival("s", "a,b;c d", 1, "", "", "")
        self.assertEqual(baggage_of(message(arrival=odd)), "client_ip=a%2Cb%3Bc%20d,message_priority=0")


class HttpStepTests(WebhookCase):
    """
    The step of a request.
    """

    def step(self, *answers: WebAnswer) -> tuple[object, ...]:
        """
        Make a traced delivery that is answered so.
        """
        self.web.answers = list(answers)
        attempt = Attempt(1, 2000.0, steps=Steps())
        carried = message()
        told = Deferred.fromCoroutine(self.agent.deliver(carried, one_delivery(carried), attempt))
        self.successResultOf(told)
        assert attempt.steps is not None
        (step,) = attempt.steps.steps
        self.assertEqual((step.name, step.started, step.ended), ("http", 2000.0, 2000.0))
        return step.facts, step.trouble

    def test_success(self) -> None:
        """
        Where it leads to, and the status; nothing of the URL that may be a secret.
        """
        facts = {
            "http.request.method": "POST",
            "url.scheme": "https",
            "server.address": "hooks.example.org",
            "server.port": 443,
            "network.peer.address": "192.0.2.9",
            "http.response.status_code": 200,
        }
        self.assertEqual(self.step(WebAnswer(200, address="192.0.2.9")), (facts, ""))

    def test_failures(self) -> None:
        """
        Are its trouble.
        """
        facts, trouble = self.step(WebAnswer(503, address="192.0.2.9"))
        assert isinstance(facts, dict)
        self.assertEqual((facts["http.response.status_code"], trouble), (503, "451 4.3.2 503 Service Unavailable"))
        facts, trouble = self.step(WebAnswer(trouble="connection refused"))
        assert isinstance(facts, dict)
        self.assertNotIn("http.response.status_code", facts)
        self.assertEqual(trouble, "421 4.4.1 connection refused")

    def test_cut_short(self) -> None:
        """
        A request that is given up leaves a step with an end.
        """
        self.web.answers, self.web.until_cancelled = [], ValueError()
        attempt = Attempt(1, 2000.0, steps=Steps())
        carried = message()
        told = Deferred.fromCoroutine(self.agent.deliver(carried, one_delivery(carried), attempt))
        told.cancel()
        self.failureResultOf(told)
        assert attempt.steps is not None
        (step,) = attempt.steps.steps
        self.assertEqual((step.trouble, step.ended), ("the attempt was cut short", 2000.0))


class OneStepTests(SynchronousTestCase):
    """
    Deliveries that are one step.
    """

    def steps(self, agent: IAgent, **domain: object) -> list[tuple[object, ...]]:
        """
        Make a traced delivery.
        """
        world = World()
        world.reactor.advance(2000)
        strategy = str(domain["strategy"])
        section = Section(domains={"example.org": Domain(**domain)})  # type: ignore[arg-type]  # of any kind
        dispatch = Dispatch(Routing(section), {strategy: agent}, world.reactor)
        attempt = Attempt(1, 2000.0, steps=Steps())
        told = dispatch.deliver(message(), one_delivery(message()), attempt)
        assert isinstance(told, Deferred)
        told.addErrback(lambda _: None)
        self.successResultOf(told)
        assert attempt.steps is not None
        return [(step.name, step.facts, step.trouble, step.ended) for step in attempt.steps.steps]

    def test_folders(self) -> None:
        """
        Say which folder.
        """
        facts = {"empath.strategy": "maildir", "file.directory": "/mail"}
        self.assertEqual(self.steps(Agent(), strategy="maildir", path="/mail"), [("write", facts, "", 2000.0)])

    def test_agents_of_others(self) -> None:
        """
        Are known by their strategy, and by what came of it.
        """

        class Refusing(Agent):
            def deliver(self, carried: Message, *_: object) -> Deferred[tuple[Success | TransientFailure, ...]]:  # type: ignore[override]  # narrower
                told: Deferred[tuple[Success | TransientFailure, ...]] = Deferred()
                told.errback(ZeroDivisionError("ours"))
                return told

        facts = {"empath.strategy": "pkg.mod:Agent"}
        self.assertEqual(
            self.steps(Refusing(), strategy="pkg.mod:Agent"), [("agent", facts, "the agent failed", 2000.0)]
        )

    def test_those_with_steps_of_their_own(self) -> None:
        """
        Get no other one.
        """
        self.assertEqual(self.steps(Agent(), strategy="smtp"), [])
