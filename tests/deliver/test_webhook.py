"""
Mail that is posted to an application.
"""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Iterable
from typing import Any

import attrs
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from empath.config.schema import Delivery as Section
from empath.config.schema import Domain, Shaping
from empath.deliver.routing import Routing
from empath.deliver.webhook.agent import LONGEST_HEADER, WebhookAgent
from empath.deliver.webhook.signing import key_of, signature
from empath.errors import SpoolError
from empath.interfaces import IAgent
from empath.mail.attempt import Attempt
from empath.mail.envelope import Envelope, Recipient
from empath.mail.message import Delivery, Message
from empath.mail.outcome import Custody, Outcome, TransientFailure
from empath.net.web_answer import GivenUp, WebAnswer
from empath.net.web_body import Body, Held
from empath.policy.route import Route
from empath.policy.shaping import Patterns, Told
from tests.deliver.world import CONTENT, Reader, address, message, one_delivery, spell

URL = "https://hooks.example.org/mail?token=secret"
SECRET = "0123456789abcdef"
JSON = {"content-type": "application/json"}
HOST = "hooks.example.org"


@attrs.frozen
class Posted:
    """
    One request.
    """

    method: str
    url: str
    fields: dict[str, str]
    body: bytes


class Web:
    """
    Records requests, and answers them in turn; the last answer stays.
    """

    def __init__(self, *answers: WebAnswer) -> None:
        self.answers = list(answers or [WebAnswer(200)])
        self.posted: list[Posted] = []
        self.patience: Any = None
        self.until_cancelled: Exception | None = None  # what the request fails with that comes when none is left

    def request(
        self, method: str, url: str, fields: Iterable[tuple[str, str]], body: Body, patience: Any
    ) -> Deferred[WebAnswer]:
        self.patience = patience
        return Deferred.fromCoroutine(self._request(method, url, dict(fields), body))

    async def _request(self, method: str, url: str, fields: dict[str, str], body: Body) -> WebAnswer:
        content = await read(body)
        assert len(content) == body.length, "not of the length that was told"
        self.posted.append(Posted(method, url, fields, content))
        if self.until_cancelled is not None:
            if self.answers:
                return self.answers.pop(0)
            try:
                await Deferred[None]()
            except CancelledError:
                raise self.until_cancelled from None
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


async def read(body: Body) -> bytes:
    """
    Read a body to its end.
    """
    reader, pieces = body.open(), []
    while piece := await reader.read():
        pieces.append(piece)
    reader.close()
    return b"".join(pieces)


class WebhookCase(SynchronousTestCase):
    """
    An agent with one route.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(2000)
        self.web = Web()
        self.route = Route(strategy="webhook", url=URL, secret=SECRET)
        self.pieces: list[bytes | Exception] = []
        self.agent = self.made(Section())
        self.attempt = Attempt(1, 2000.0)

    def made(self, section: Section) -> WebhookAgent:
        """
        Make the agent.
        """
        web: Any = self.web
        return WebhookAgent(self.clock, web, lambda _: Reader(self.pieces), lambda _: self.route, section)

    def outcomes(self, carried: Message, delivery: Delivery | None = None, number: int = 1) -> tuple[Outcome, ...]:
        """
        Make a delivery.
        """
        self.attempt = Attempt(number, 2000.0)
        return self.successResultOf(
            Deferred.fromCoroutine(self.agent.deliver(carried, delivery or one_delivery(carried), self.attempt))
        )

    def answered(self, *answers: WebAnswer, to: tuple[str, ...] = ("b@example.org",)) -> list[str]:
        """
        Make a delivery that is answered so, and spell its outcomes.
        """
        self.web.answers = list(answers)
        return spell(self.outcomes(message(*to)))

    def told(self) -> dict[str, Any]:
        """
        Read what was posted last.
        """
        told: dict[str, Any] = json.loads(self.web.posted[-1].body)
        return told


class PostingTests(WebhookCase):
    def test_keeps_the_promises_of_an_agent(self) -> None:
        self.assertTrue(verifyObject(IAgent, self.agent))
        self.assertIsNone(self.agent.stop())

    def test_json_describes_the_delivery_and_has_the_content(self) -> None:
        """
        Envelope with parameters, metadata, header fields, the whole content in base64, which comes last.
        """
        carried = message("b@example.org", metadata={"customer": "7"}, trace="00-1-2-01", received=1000.125)
        envelope = Envelope(address("a@example.net"), (Recipient(address("b@example.org"), {"NOTIFY": "NEVER"}),))
        carried = attrs.evolve(carried, envelope=attrs.evolve(envelope, parameters={"ENVID": "x"}))
        self.assertEqual(spell(self.outcomes(carried)), [f"Success 250 2.0.0 {HOST}"])
        told = self.told()
        self.assertEqual(list(told)[-1], "content")
        self.assertEqual(b64decode(told.pop("content")), CONTENT)
        self.assertTrue(told.pop("id").startswith(carried.queue_id))
        self.assertEqual(
            told,
            {
                "version": 1,
                "queue_id": carried.queue_id,
                "domain": "example.org",
                "attempt": 1,
                "received": "1970-01-01T00:16:40.125Z",
                "envelope": {
                    "sender": "a@example.net",
                    "parameters": {"ENVID": "x"},
                    "recipients": [{"address": "b@example.org", "parameters": {"NOTIFY": "NEVER"}}],
                },
                "metadata": {"customer": "7"},
                "trace": "00-1-2-01",
                "size": len(CONTENT),
                "headers": [["Subject", "x"]],
            },
        )
        [posted] = self.web.posted
        self.assertEqual((posted.method, posted.url), ("POST", URL))
        self.assertEqual(posted.fields["content-type"], "application/json")

    def test_raw_is_the_mail_itself_under_its_envelope(self) -> None:
        self.route = attrs.evolve(self.route, format="raw", headers=(("authorization", "Bearer x"),))
        self.outcomes(message("b@example.org", "ö@example.org", sender=None))
        [posted] = self.web.posted
        self.assertEqual(posted.body, CONTENT)
        self.assertEqual(posted.fields["authorization"], "Bearer x")
        self.assertEqual(posted.fields["content-type"], "message/rfc822")
        self.assertTrue(posted.fields["x-empath-envelope"].isascii())
        envelope = json.loads(posted.fields["x-empath-envelope"])
        self.assertIsNone(envelope["sender"])
        self.assertEqual([each["address"] for each in envelope["recipients"]], ["b@example.org", "ö@example.org"])
        self.assertEqual(posted.fields["x-empath-attempt"], "1")

    def test_content_in_a_file_is_read_piece_by_piece(self) -> None:
        """
        In both forms, whatever the sizes of the pieces; once to sign it and once to send it.
        """
        body = bytes(range(256)) * 3 + b"ab"
        for format in ("json", "raw"):
            self.route = attrs.evolve(self.route, format=format)
            for sizes in ((1, 2, 3), (len(body),), (5,)):
                self.pieces = pieces(body, sizes)
                carried = message(body=None, size=len(CONTENT) - len(message().body or b"") + len(body))
                self.assertEqual(spell(self.outcomes(carried)), [f"Success 250 2.0.0 {HOST}"])
                posted = self.web.posted[-1].body
                content = posted if format == "raw" else b64decode(json.loads(posted)["content"])
                self.assertEqual(content, carried.header + body)

    def test_what_is_not_of_its_size_is_not_posted(self) -> None:
        """
        Content that is smaller, larger, or cannot be read: transient, of nobody else's making.
        """
        for secret in ("", SECRET):
            self.route = attrs.evolve(self.route, secret=secret)
            for wrong in ([b"x"], [b"x" * 500], [SpoolError("gone")]):
                self.pieces = list(wrong)
                self.assertEqual(spell(self.outcomes(message(body=None, size=100))), ["TransientFailure 451 4.3.0"])
        self.assertEqual(self.web.posted, [])

    def test_the_attempt_is_recorded(self) -> None:
        self.web.answers = [WebAnswer(200, address="192.0.2.80")]
        self.outcomes(message())
        attempt = self.attempt
        self.assertEqual((attempt.host, attempt.address, attempt.port), (HOST, "192.0.2.80", 443))
        self.assertEqual((attempt.security, attempt.sent, attempt.ended), ("verified", 2000.0, 2000.0))
        self.route = attrs.evolve(self.route, url="http://localhost:8080/")
        self.outcomes(message())
        self.assertEqual((self.attempt.host, self.attempt.port, self.attempt.security), ("localhost", 8080, ""))

    def test_times_are_those_of_the_section(self) -> None:
        section = Section()
        self.outcomes(message())
        times = section.timeouts
        wanted = (times.connect, times.data_block, times.data_termination)
        self.assertEqual(attrs.astuple(self.web.patience), wanted)

    def test_a_hook_with_a_name_needs_the_dns(self) -> None:
        """
        For the readiness that is told.
        """
        for url, needed in ((URL, True), ("http://127.0.0.1:8/", False), ("https://localhost/", False)):
            domain = Domain(strategy="webhook", url=url)
            self.assertIs(Routing(Section(domains={"*": domain})).needs_dns, needed, url)

    def test_without_a_url_mail_waits(self) -> None:
        self.route = Route(strategy="webhook")
        self.assertEqual(spell(self.outcomes(message())), ["TransientFailure 451 4.3.5"])


def pieces(body: bytes, sizes: tuple[int, ...]) -> list[bytes | Exception]:
    """
    Cut a body into pieces of these sizes, again and again.
    """
    cut: list[bytes | Exception] = []
    while body:
        for size in sizes:
            if body[:size]:
                cut.append(body[:size])
            body = body[size:]
    return cut


class SigningTests(WebhookCase):
    def test_as_standard_webhooks_has_it(self) -> None:
        """
        The example of its specification.
        """
        key = key_of("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
        signing = signature(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, Held(b'{"test": 2432232314}'))
        signed = self.successResultOf(Deferred.fromCoroutine(signing))
        self.assertEqual(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=")

    def test_any_secret_is_a_key(self) -> None:
        """
        What is no base64 behind the prefix is taken as it is.
        """
        self.assertEqual([key_of("ä"), key_of("whsec_?")], ["ä".encode(), b"whsec_?"])

    def test_what_is_posted_is_signed(self) -> None:
        self.outcomes(message())
        [posted] = self.web.posted
        identity, timestamp = posted.fields["webhook-id"], int(posted.fields["webhook-timestamp"])
        self.assertEqual((identity, timestamp), (self.told()["id"], 2000))
        signing = signature(SECRET.encode(), identity, timestamp, Held(posted.body))
        signed = self.successResultOf(Deferred.fromCoroutine(signing))
        self.assertEqual(posted.fields["webhook-signature"], signed)

    def test_without_a_secret_it_is_not(self) -> None:
        self.route = attrs.evolve(self.route, secret="")
        self.outcomes(message())
        self.assertNotIn("webhook-signature", self.web.posted[0].fields)

    def test_the_id_is_the_same_at_each_attempt_for_the_same_recipients(self) -> None:
        """
        So a repeated one is recognised; once somebody has the mail, what is for the others is not taken for a repeat.
        """
        carried = message("b@example.org", "c@example.org")
        first = one_delivery(carried)
        again = attrs.evolve(first, attempts=1)
        rest = attrs.evolve(first, recipients=first.recipients[1:])
        for number, delivery in enumerate((first, again, rest), 1):
            self.outcomes(carried, delivery, number)
        one, two, three = [posted.fields["webhook-id"] for posted in self.web.posted]
        self.assertEqual(one, two)
        self.assertNotEqual(one, three)


class BatchTests(WebhookCase):
    def test_an_envelope_that_is_too_long_for_a_header_is_divided(self) -> None:
        """
        All get it once, in their order; one alone is never divided.
        """
        self.route = attrs.evolve(self.route, format="raw")
        names = [f"{'x' * 60}{nth}@example.org" for nth in range(200)] + ["y" * 5000 + "@example.org"]
        self.assertEqual(len(self.outcomes(message(*names))), len(names))
        envelopes = [posted.fields["x-empath-envelope"] for posted in self.web.posted]
        self.assertEqual([len(text) > LONGEST_HEADER for text in envelopes[:-1]], [False] * (len(envelopes) - 1))
        came = [each["address"] for text in envelopes for each in json.loads(text)["recipients"]]
        self.assertEqual(came, names)

    def test_no_more_recipients_than_a_transaction_has(self) -> None:
        self.agent = self.made(Section(max_recipients_per_transaction=2))
        self.outcomes(message("a@example.org", "b@example.org", "c@example.org"))
        self.assertEqual([len(json.loads(each.body)["envelope"]["recipients"]) for each in self.web.posted], [2, 1])

    def test_giving_up_forgets_neither_what_was_taken_nor_what_may_have_been(self) -> None:
        """
        At the stop, and when an attempt takes too long: who has the mail gets no second one, and a request whose answer
        was not waited for is a possible duplicate. Where nothing went out there is nothing to tell.
        """
        self.agent = self.made(Section(max_recipients_per_transaction=1))
        for answers, doubtful, told in (
            ([WebAnswer(200)], True, ["Success", "TransientFailure doubtful", "TransientFailure"]),
            ([WebAnswer(200)], False, ["Success", "TransientFailure", "TransientFailure"]),
            ([], True, ["TransientFailure doubtful", "TransientFailure", "TransientFailure"]),
            ([], False, []),
        ):
            self.web.until_cancelled = GivenUp(doubtful)
            self.web.answers = answers
            carried = message("a@example.org", "b@example.org", "c@example.org")
            running = Deferred.fromCoroutine(self.agent.deliver(carried, one_delivery(carried), self.attempt))
            self.assertNoResult(running)
            running.cancel()
            if not told:
                self.failureResultOf(running, CancelledError)
                continue
            outcomes = self.successResultOf(running)
            doubts = [" doubtful" * getattr(each, "doubtful", False) for each in outcomes]
            self.assertEqual([type(o).__name__ + d for o, d in zip(outcomes, doubts, strict=True)], told)

    def test_trouble_with_the_server_speaks_for_the_rest(self) -> None:
        """
        What was not posted yet is not: the server is away. A refusal is about one request only.
        """
        self.agent = self.made(Section(max_recipients_per_transaction=1))
        to = ("a@example.org", "b@example.org", "c@example.org")
        told = self.answered(WebAnswer(200), WebAnswer(trouble="gone"), to=to)
        self.assertEqual(told, [f"Success 250 2.0.0 {HOST}"] + ["TransientFailure 421 4.4.1"] * 2)
        self.assertEqual(len(self.web.posted), 2)
        told = self.answered(WebAnswer(422), WebAnswer(200), to=to)
        self.assertEqual([each.split()[0] for each in told], ["PermanentFailure", "Success", "Success"])


class AnswerTests(WebhookCase):
    def test_statuses(self) -> None:
        """
        2yz is delivered; 5yz, redirects, and those 4yz that pass are tried again; other 4yz are for ever.
        """
        expected = {
            200: "Success 250 2.0.0",
            204: "Success 250 2.0.0",
            299: "Success 250 2.0.0",
            301: "TransientFailure 451 4.3.5",
            308: "TransientFailure 451 4.3.5",
            400: "PermanentFailure 550 5.0.0",
            401: "TransientFailure 451 4.3.5",
            403: "PermanentFailure 550 5.7.1",
            404: "TransientFailure 451 4.3.5",
            405: "TransientFailure 451 4.3.5",
            407: "TransientFailure 451 4.3.5",
            408: "TransientFailure 451 4.4.2",
            409: "PermanentFailure 550 5.0.0",
            410: "TransientFailure 451 4.3.5",
            413: "PermanentFailure 552 5.3.4",
            415: "PermanentFailure 554 5.6.1",
            422: "PermanentFailure 554 5.6.0",
            425: "TransientFailure 451 4.3.0",
            429: "TransientFailure 451 4.7.1",
            500: "TransientFailure 451 4.3.0",
            502: "TransientFailure 451 4.4.1",
            503: "TransientFailure 451 4.3.2",
            507: "TransientFailure 452 4.3.1",
            599: "TransientFailure 451 4.3.0",
            101: "TransientFailure 451 4.3.5",
            999: "TransientFailure 451 4.3.0",
        }
        for code, outcome in expected.items():
            self.assertEqual(self.answered(WebAnswer(code)), [f"{outcome} {HOST}"], code)

    def test_delivered_is_final(self) -> None:
        [outcome] = self.outcomes(message())
        self.assertEqual(getattr(outcome, "custody", None), Custody.DELIVERED)

    def test_what_a_server_says_is_repeated_if_it_is_text(self) -> None:
        """
        Its first line, with nothing in it that could harm a log; no markup.
        """
        plain = {"content-type": "text/plain; charset=utf-8"}
        for fields, body, text in (
            (plain, b"come\x1b later\nat Eight", "503 Service Unavailable: come? later"),
            ({"content-type": "text/html"}, b"<h1>", "503 Service Unavailable"),
            (plain, b"\xff" * 5000, "503 Service Unavailable: " + "\ufffd" * 200),
        ):
            self.web.answers = [WebAnswer(503, fields, body)]
            [outcome] = self.outcomes(message())
            self.assertEqual(outcome.reply.lines, (text,))
        self.web.answers = [WebAnswer(599)]
        self.assertEqual(self.outcomes(message())[0].reply.lines, ("599",))

    def test_no_answer(self) -> None:
        """
        Nothing reached the server: it is in trouble. All may have: so the mail may come twice, and it is told.
        """
        self.web.answers = [WebAnswer(trouble="connection refused")]
        [outcome] = self.outcomes(message())
        self.assertEqual(str(outcome.reply), "421 4.4.1 connection refused")
        self.assertEqual(Patterns(Shaping()).judge([outcome])[0], Told.UNREACHABLE, "not that it asked for less")
        self.web.answers = [WebAnswer(trouble="no answer within 600 s", doubtful=True)]
        [outcome] = self.outcomes(message())
        self.assertIsInstance(outcome, TransientFailure)
        self.assertTrue(getattr(outcome, "doubtful", False))
        self.assertEqual(Patterns(Shaping()).judge([outcome])[0], Told.NOTHING)
        self.assertEqual(str(outcome.reply), "421 4.4.2 no answer within 600 s; the message may arrive more than once")

    def test_a_site_that_asks_for_less_is_sent_less(self) -> None:
        """
        It works; one that is in trouble is left alone after a while, as is one that does not know us.
        """
        judged = [Patterns(Shaping()).judge(self.judged(code))[0] for code in (429, 503, 401, 302, 422, 200)]
        trouble = [Told.UNREACHABLE] * 3
        self.assertEqual(judged, [Told.SLOW_DOWN, *trouble, Told.ANSWERED, Told.ACCEPTED])

    def judged(self, code: int) -> tuple[Outcome, ...]:
        self.web.answers = [WebAnswer(code)]
        return self.outcomes(message())

    def test_retry_after_is_heard(self) -> None:
        """
        Seconds or a date; what is neither, or over, asks for nothing.
        """
        for text, seconds in (
            ("120", 120.0),
            ("Thu, 01 Jan 1970 00:35:00 GMT", 100.0),
            ("Thu, 01 Jan 1970 00:00:01 GMT", 0.0),
            ("soon", 0.0),
            ("-5", 0.0),
            ("", 0.0),
            ("9" * 400, 999999999.0),
            ("Thu, 01 Jan 99999 00:00:00 GMT", 0.0),
        ):
            self.web.answers = [WebAnswer(429, {"retry-after": text})]
            [outcome] = self.outcomes(message())
            self.assertEqual(getattr(outcome, "retry_after", None), seconds, text)

    def test_single_recipients_may_have_a_verdict(self) -> None:
        """
        As replies of SMTP; who has none has the mail.
        """
        verdicts = {
            "b@example.org": "550 5.1.1 no such user",
            "c@example.org": "451 4.2.2 full",
            "d@example.org": "250 ok",
        }
        body = json.dumps({"recipients": verdicts}).encode()
        to = ("a@example.org", "b@example.org", "c@example.org", "d@example.org")
        self.assertEqual(
            self.answered(WebAnswer(200, JSON, body), to=to),
            [
                f"Success 250 2.0.0 {HOST}",
                f"PermanentFailure 550 5.1.1 {HOST}",
                f"TransientFailure 451 4.2.2 {HOST}",
                f"Success 250 2.0.0 {HOST}",
            ],
        )

    def test_a_verdict_that_cannot_be_read_is_none_yet(self) -> None:
        """
        Mail is neither lost nor returned for it: it is tried again.
        """
        wrong: tuple[Any, ...] = ("yes", 5, None, "354 go on", "550 5.1.1 a\nb", {})
        for told in wrong:
            body = json.dumps({"recipients": {"b@example.org": told}}).encode()
            self.assertEqual(self.answered(WebAnswer(200, JSON, body)), [f"TransientFailure 451 4.5.0 {HOST}"], told)
        for broken in (b"{", b'{"recipients": []}', b"[" * 60000, b"\xff"):
            self.assertEqual(self.answered(WebAnswer(200, JSON, broken)), [f"TransientFailure 451 4.5.0 {HOST}"])

    def test_verdicts_are_told_in_characters_that_can_be_stored(self) -> None:
        """
        Half a pair of UTF-16, and what would break a line of a log, is not repeated.
        """
        body = b'{"recipients": {"b@example.org": "550 5.1.1 a\\ud800b\\u2028c"}}'
        self.web.answers = [WebAnswer(200, JSON, body)]
        [outcome] = self.outcomes(message())
        self.assertEqual(str(outcome.reply), "550 5.1.1 a?b?c")

    def test_a_hook_may_write_addresses_in_its_own_case(self) -> None:
        """
        Else it would have refused somebody, and we had taken the mail for delivered.
        """
        verdicts = {"B@Example.ORG": "550 5.1.1 no such user", "C@example.org": "550 no", "c@example.org": "250 ok"}
        body = json.dumps({"recipients": verdicts}).encode()
        self.assertEqual(
            self.answered(WebAnswer(200, JSON, body), to=("b@example.org", "c@example.org")),
            [f"PermanentFailure 550 5.1.1 {HOST}", f"Success 250 2.0.0 {HOST}"],
        )

    def test_verdicts_that_are_missing_since_the_answer_was_cut(self) -> None:
        """
        Who was to be told of is not known: the mail waits. What is no JSON has no verdicts to lose.
        """
        cut = WebAnswer(200, JSON, b"", whole=False)
        self.assertEqual(self.answered(cut), [f"TransientFailure 451 4.5.0 {HOST}"])
        self.assertEqual(self.answered(WebAnswer(200, {}, b"", whole=False)), [f"Success 250 2.0.0 {HOST}"])

    def test_other_json_says_nothing(self) -> None:
        for other in (b"", b"{}", b"[]", b'"ok"', b'{"recipients": null}', b'{"recipients": {"x@y": "550 no"}}'):
            self.assertEqual(self.answered(WebAnswer(200, JSON, other)), [f"Success 250 2.0.0 {HOST}"], other)
        text = WebAnswer(200, {"content-type": "text/plain"}, b'{"recipients": {"b@example.org": "550 no"}}')
        self.assertEqual(self.answered(text)[0].split()[0], "Success")
