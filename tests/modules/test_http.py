"""
Requirements on HTTP for modules: one answer, in time, of a bounded size, whatever the server does.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.protocol import Factory, Protocol
from twisted.trial.unittest import SynchronousTestCase

from empath.modules.http import HttpAnswer, HttpClient, checked_url
from empath.testing import MtaMixin, WebRequest

URL = "http://policy.example:8000/ask"


class Saying(Protocol):
    """
    Says something as soon as it is asked, and closes.
    """

    said = b""

    def dataReceived(self, data: bytes) -> None:
        """
        Answer.
        """
        transport: Any = self.transport
        transport.write(self.said)
        transport.loseConnection()


class HttpTests(MtaMixin, SynchronousTestCase):
    """
    A client in a world with a server.
    """

    def setUp(self) -> None:
        self.given = self.services()
        self.client = HttpClient(self.given, timeout=3.0, largest=1000)

    def answer(self, asking: Any, seconds: float = 0.0) -> HttpAnswer:
        """
        Wait for an answer.
        """
        self.given.advance(seconds)
        answer = self.successResultOf(asking)
        assert isinstance(answer, HttpAnswer)
        return answer

    def test_what_is_asked_and_what_is_answered(self) -> None:
        """
        The query is encoded, header fields and the body are sent as they are.
        """
        server = self.given.web("policy.example", (200, b"yes"))
        self.assertEqual(self.answer(self.client.get(URL, {"a": "x y&z", "ü": "+"})), HttpAnswer(200, b"yes"))
        self.assertEqual(self.answer(self.client.get(URL + "?b=1", {"a": "2"})).code, 200)
        server.reply = lambda request: (201, request.body[::-1])
        self.assertEqual(self.answer(self.client.post(URL, b"ab", {"X-Key": "k"})), HttpAnswer(201, b"ba"))
        server.reply = 204
        self.assertEqual(self.answer(self.client.request("DELETE", URL)), HttpAnswer(204))
        first, second, posted, deleted = server.requests
        self.assertEqual((first.method, first.path, first.query), ("GET", "/ask", {"a": "x y&z", "ü": "+"}))
        self.assertEqual(second.query, {"b": "1", "a": "2"})
        self.assertEqual((posted.method, posted.body, posted.headers["x-key"]), ("POST", b"ab", "k"))
        self.assertIsInstance(deleted, WebRequest)
        self.assertEqual(deleted.method, "DELETE")

    def test_any_status_is_an_answer(self) -> None:
        """
        Redirects are not followed.
        """
        server = self.given.web("policy.example", 500)
        self.assertEqual(self.answer(self.client.get(URL)).code, 500)
        server.reply = (302, b"")
        self.assertEqual(self.answer(self.client.get(URL)).code, 302)

    def test_no_answer_is_one_that_says_why(self) -> None:
        """
        A name that is not there, nobody at the port, a connection that breaks, nonsense, silence.
        """
        answers = [self.answer(self.client.get("http://nowhere.example/"))]
        server = self.given.web("policy.example", None)
        asking = self.client.get(URL)
        self.assertNoResult(asking)
        answers.append(self.answer(asking, 3.0))
        asking = self.client.get(URL)
        self.given.advance(1)
        server.close()
        answers.append(self.answer(asking))
        self.given.serve("192.0.2.80", 80, Factory.forProtocol(Saying))
        answers.append(self.answer(self.client.get("http://192.0.2.80/")))
        self.given.serve("192.0.2.80", 81, Factory.forProtocol(type("Nonsense", (Saying,), {"said": b"hello\r\n"})))
        answers.append(self.answer(self.client.get("http://192.0.2.80:81/")))
        answers.append(self.answer(self.client.get("http://192.0.2.80:82/")))
        self.assertEqual([answer.code for answer in answers], [0] * 6)
        self.assertTrue(all(answer.trouble for answer in answers), answers)
        self.assertEqual(answers[1].trouble, "no answer within 3 s")

    def test_a_body_that_never_ends_or_is_too_large(self) -> None:
        """
        Neither is kept in memory; what has no length ends with its connection.
        """
        head = b"HTTP/1.0 200 OK\r\n\r\n"
        self.given.serve("192.0.2.80", 80, Factory.forProtocol(type("Old", (Saying,), {"said": head + b"all"})))
        self.assertEqual(self.answer(self.client.get("http://192.0.2.80/")), HttpAnswer(200, b"all"))
        server = self.given.web("policy.example", (200, b"x" * 1001))
        self.assertEqual(self.answer(self.client.get(URL)), HttpAnswer(0, trouble="an answer of more than 1000 octets"))
        server.reply = (200, b"x" * 1000)
        self.assertEqual(len(self.answer(self.client.get(URL)).body), 1000)
        short = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"

        class Waiting(Protocol):
            def dataReceived(self, data: bytes) -> None:
                transport: Any = self.transport
                transport.write(short)

        self.given.serve("192.0.2.80", 81, Factory.forProtocol(Waiting))
        self.assertEqual(self.answer(self.client.get("http://192.0.2.80:81/"), 3.0).trouble, "no answer within 3 s")

    def test_who_gives_up_leaves_nothing_behind(self) -> None:
        """
        As a module's time budget does.
        """
        self.given.web("policy.example", None)
        asking = self.client.get(URL)
        asking.addErrback(lambda _: None)
        asking.cancel()
        self.given.advance(0)

    def test_urls_are_checked_before_the_start(self) -> None:
        """
        In the constructor, and before each request.
        """
        for url in ("http://a.example/x", "https://a.example:8443/", "http://[2001:db8::1]/", "http://192.0.2.1"):
            self.assertEqual(checked_url(url), url)
        for url in ("a.example", "ftp://a.example", "http://", "http://a:x/", "http://ä.example/", "http:///x", ""):
            with self.assertRaisesRegex(ValueError, "allowed: a URL that begins with http://"):
                checked_url(url)
            self.assertRaises(ValueError, self.client.get, url)
