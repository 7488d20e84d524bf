"""
Header fields by rules: what they do, when, and that nothing a peer says makes a field of its own.
"""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from empath.modules import IModule, Session, Transaction
from empath.modules.builtin.headers import Headers
from tests.modules.support import FakeServices, header_content, session, transaction

HEADER = b"Received: by x\r\nX-Spam: yes\r\nSubject: one\r\n two\r\nx-spam: \xff no\r\n"


class HeadersTests(SynchronousTestCase):
    """
    A message with two fields of one name.
    """

    def changed(
        self, *rules: dict[str, Any], who: Session | None = None, begun: Transaction | None = None, utf8: bool = False
    ) -> bytes:
        """
        Give the header block after these rules.
        """
        module = Headers(rules=list(rules))
        module.start(FakeServices())
        self.assertTrue(verifyObject(IModule, module))
        content = header_content(HEADER, utf8)
        module.data(who or session(), begun or transaction(), content)
        return bytes(content.header)

    def test_add_and_prepend(self) -> None:
        """
        At the end, or on top; of two on top the later one is above.
        """
        self.assertEqual(self.changed({"action": "add", "field": "X-A", "value": "1"}), HEADER + b"X-A: 1\r\n")
        found = self.changed(
            {"action": "prepend", "field": "X-A", "value": "1"}, {"action": "prepend", "field": "X-B", "value": "2"}
        )
        self.assertEqual(found, b"X-B: 2\r\nX-A: 1\r\n" + HEADER)

    def test_remove_replace_rename(self) -> None:
        """
        All of a name: none, one where the first was, another name.
        """
        self.assertEqual(
            self.changed({"action": "remove", "field": "X-SPAM"}), b"Received: by x\r\nSubject: one\r\n two\r\n"
        )
        self.assertEqual(
            self.changed({"action": "replace", "field": "X-Spam", "value": "maybe"}),
            b"Received: by x\r\nX-Spam: maybe\r\nSubject: one\r\n two\r\n",
        )
        self.assertEqual(
            self.changed({"action": "replace", "field": "X-New", "value": "maybe"}), HEADER + b"X-New: maybe\r\n"
        )
        self.assertEqual(
            self.changed({"action": "rename", "field": "x-spam", "to": "X-Old"}),
            HEADER.replace(b"X-Spam", b"X-Old").replace(b"x-spam", b"X-Old"),
        )

    def test_templates(self) -> None:
        """
        What is known of session and transaction can stand in a value; what is not there is empty.
        """
        who = session("192.0.2.7", login="me", name="client.example", tls="TLSv1.3")
        begun = transaction("a@b.example", metadata={"customer": "acme"})
        value = (
            "{queue_id} {peer} {login} {name} {tls} {reverse_path} {hostname} {metadata[customer]} {metadata[x]}{{}}"
        )
        found = self.changed({"action": "add", "field": "X-A", "value": value}, who=who, begun=begun)
        self.assertEqual(
            found[len(HEADER) :].replace(b"\r\n", b""),
            b"X-A: Q1 192.0.2.7 me client.example TLSv1.3 a@b.example mx.example.org acme {}",
        )
        null = self.changed({"action": "add", "field": "X-A", "value": "<{reverse_path}>"}, begun=transaction(None))
        self.assertTrue(null.endswith(b"X-A: <>\r\n"))

    def test_conditions(self) -> None:
        """
        A rule applies where all that it names is so.
        """
        who = session(login="me@example.org", trusted=True)
        begun = transaction(metadata={"customer": "Acme"})
        for when, applies in (
            ({}, True),
            ({"listener": "tcp:25"}, True),
            ({"listener": ["tcp:587*", "tcp:465*"]}, False),
            ({"kind": "mta"}, True),
            ({"kind": "submission"}, False),
            ({"login": True}, True),
            ({"login": False}, False),
            ({"login": ["*@example.org"]}, True),
            ({"login": "you"}, False),
            ({"trusted": True}, True),
            ({"trusted": False}, False),
            ({"present": False}, True),
            ({"present": True}, False),
            ({"metadata": {"customer": "ac*"}}, True),
            ({"metadata": {"customer": ["a", "b"]}}, False),
            ({"metadata": {"customer": "*", "other": "*"}}, False),
            ({"login": True, "trusted": False}, False),
        ):
            rule = {"action": "add", "field": "X-A", "value": "1", "when": when}
            self.assertEqual(self.changed(rule, who=who, begun=begun) != HEADER, applies, when)
        nobody = {"action": "add", "field": "X-A", "value": "1", "when": {"login": False}}
        self.assertNotEqual(self.changed(nobody), HEADER)

    def test_long_values(self) -> None:
        """
        Whatever a client says is cut, so that the field can be written.
        """
        rule = {"action": "add", "field": "X-A", "value": "{name}{login}"}
        found = self.changed(rule, who=session(name="x" * 5000, login="ü" * 5000), utf8=True)
        self.assertTrue(found.endswith(b"X-A: " + b"x" * 200 + b"\xc3\xbc" * 100 + b"\r\n"))

    def test_not_ascii(self) -> None:
        """
        It is encoded where the message may not have it, and "?" where it would be part of an address.
        """
        who = session(login="jürgen")
        plain = self.changed({"action": "add", "field": "X-A", "value": "für {login}"}, who=who)
        self.assertTrue(plain.endswith(b"X-A: =?utf-8?b?ZsO8ciBqw7xyZ2Vu?=\r\n"), plain)
        self.assertIn(
            "für jürgen".encode(),
            self.changed({"action": "add", "field": "X-A", "value": "für {login}"}, who=who, utf8=True),
        )
        sender = self.changed({"action": "add", "field": "Sender", "value": "{login}@example.org"}, who=who)
        self.assertTrue(sender.endswith(b"Sender: j?rgen@example.org\r\n"), sender)

    @given(st.text(max_size=60), st.text(max_size=60), st.booleans())
    @settings(max_examples=200)
    def test_no_injection(self, name: str, noted: str, utf8: bool) -> None:
        """
        One rule adds one field, whatever the client calls itself and other modules noted.
        """
        module = Headers(rules=[{"action": "add", "field": "X-A", "value": "from {name} for {metadata[x]}"}])
        module.start(FakeServices())
        content = header_content(HEADER, utf8)
        module.data(session(name=name), transaction(metadata={"x": noted}), content)
        found = [field for field, _ in content.fields()]
        assert found == ["Received", "X-Spam", "Subject", "x-spam", "X-A"]
        assert bytes(content.header).startswith(HEADER)
        assert max(map(len, bytes(content.header).split(b"\r\n"))) <= 998

    def test_wrong_rules(self) -> None:
        """
        Each is told with its number.
        """
        for rule, said in (
            ("add X-A", "a rule is a table"),
            ({"action": "add", "field": "X-A", "value": "1", "if": 1}, "unknown: if"),
            ({"action": "append", "field": "X-A", "value": "1"}, 'action: "add" or'),
            ({"field": "X-A"}, "action: "),
            ({"action": "add", "field": "X A", "value": "1"}, "field: the name"),
            ({"action": "add", "value": "1"}, "field: the name"),
            ({"action": "add", "field": "X-A"}, "value: needed with add"),
            ({"action": "remove", "field": "X-A", "value": "1"}, "value: of no use with remove"),
            ({"action": "rename", "field": "X-A"}, "to: needed with rename"),
            ({"action": "rename", "field": "X-A", "to": "X:B"}, "to: the name"),
            ({"action": "add", "field": "X-A", "value": "1", "to": "X-B"}, "to: of no use with add"),
            ({"action": "add", "field": "X-A", "value": "{nobody}"}, "{nobody} stands for nothing"),
            ({"action": "add", "field": "X-A", "value": "{peer!r}"}, "stands for nothing"),
            ({"action": "add", "field": "X-A", "value": "{metadata[a][b]}"}, "stands for nothing"),
            ({"action": "add", "field": "X-A", "value": "{"}, "a brace is written twice"),
            ({"action": "add", "field": "X-A", "value": "a\r\nX-B: c"}, "value: a text on one line"),
            ({"action": "add", "field": "X-A", "value": "x" * 1000}, "longer than 998"),
            ({"action": "add", "field": "From", "value": "ü@example.org"}, "not ASCII"),
            ({"action": "remove", "field": "X-A", "when": True}, "when: a table"),
            ({"action": "remove", "field": "X-A", "when": {"peer": "x"}}, "when: unknown: peer"),
            ({"action": "remove", "field": "X-A", "when": {"trusted": 1}}, "when.trusted: true or false"),
            ({"action": "remove", "field": "X-A", "when": {"login": 5}}, "when.login: a list"),
            ({"action": "remove", "field": "X-A", "when": {"metadata": "x"}}, "when.metadata: a table"),
            ({"action": "remove", "field": "X-A", "when": {"metadata": {"x": 1}}}, "when.metadata.x: a list"),
        ):
            good = {"action": "remove", "field": "X-A"}
            problem = str(self.assertRaises(ValueError, Headers, rules=[good, rule]))
            self.assertTrue(problem.startswith("rules: rule 2: "), problem)
            self.assertIn(said, problem)
        nothing: tuple[object, ...] = ([], "remove X-A", None)
        for wrong in nothing:
            self.assertRaises(ValueError, Headers, rules=wrong)
