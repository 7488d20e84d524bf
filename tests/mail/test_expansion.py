"""
Tests for addresses that stand for several others.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from empath.mail.address import Address
from empath.mail.envelope import Envelope, Recipient
from empath.mail.expansion import notices_of_expansion, wants_success, without_success
from empath.mail.message import Message
from empath.mail.notice import Action
from empath.mail.session import Transaction


def address(name: str) -> Address:
    return Address(name, "example.org", f"{name}@example.org")


def transaction() -> Transaction:
    return Transaction("01JD0000000000000000000001", 0.0, address("ann"), {})


def message(*names: str) -> Message:
    to = tuple(Recipient(address(name)) for name in names)
    return Message("01JD0000000000000000000001", 0.0, Envelope(address("ann"), to), b"", b"", None, 0, False)


class ExpansionTests(SynchronousTestCase):
    """
    Tests for what RFC 3461 §5.2.7 asks of aliases.
    """

    def test_words(self) -> None:
        """
        SUCCESS is told in any case and place, and taken out; nothing else is, and NEVER is what remains of nothing.
        """
        for notify, wanted, left in (
            ("SUCCESS", True, "NEVER"),
            ("failure,Success", True, "FAILURE"),
            ("SUCCESS,FAILURE,DELAY", True, "FAILURE,DELAY"),
        ):
            parameters = {"NOTIFY": notify, "ORCPT": "rfc822;x"}
            self.assertIs(wants_success(parameters), wanted)
            self.assertEqual(without_success(parameters), {"NOTIFY": left, "ORCPT": "rfc822;x"})
        for no in ({}, {"NOTIFY": "NEVER"}, {"NOTIFY": "FAILURE,DELAY"}):
            self.assertFalse(wants_success(no))

    def test_several(self) -> None:
        """
        One RCPT with NOTIFY=SUCCESS that becomes several: they ask for no success, and their sender hears of the
        expansion.
        """
        mail, to = transaction(), Recipient(address("all"), {"NOTIFY": "SUCCESS,FAILURE"})
        mail.rewrite(to, address("bob"), address("cid"))
        self.assertIsNone(mail.expanded)
        self.assertTrue(mail.accept(to))
        self.assertEqual([each.parameters["NOTIFY"] for each in mail.recipients], ["FAILURE", "FAILURE"])
        assert mail.expanded is not None
        (notice,) = notices_of_expansion(message("bob", "dan"), mail.expanded)
        self.assertEqual((notice.action, notice.state.address), (Action.EXPANDED, address("all")))
        self.assertEqual(notices_of_expansion(message("dan"), mail.expanded), ())

    def test_one(self) -> None:
        """
        An address that stands for one other passes all that was asked on (§5.2.7), and so does who asks for no success.
        """
        for parameters, names in (({"NOTIFY": "SUCCESS"}, ("bob",)), ({"NOTIFY": "DELAY"}, ("bob", "cid")), ({}, "bc")):
            mail, to = transaction(), Recipient(address("all"), parameters)
            mail.rewrite(to, *map(address, names))
            mail.accept(to)
            self.assertIsNone(mail.expanded)
            self.assertEqual({each.parameters.get("NOTIFY") for each in mail.recipients}, {parameters.get("NOTIFY")})

    def test_a_refused_recipient_is_not_expanded(self) -> None:
        """
        Nor is one that would make too many.
        """
        mail, to = transaction(), Recipient(address("all"), {"NOTIFY": "SUCCESS"})
        mail.rewrite(to, address("bob"), address("cid"))
        self.assertFalse(mail.accept(to, 1))
        self.assertIsNone(mail.expanded)

    def test_when_the_content_is_there(self) -> None:
        """
        A module may rewrite then, too, and what came of that again: each is told once.
        """
        mail, to = transaction(), Recipient(address("all"), {"NOTIFY": "SUCCESS"})
        mail.accept(to)
        mail.rewrite(to, address("bob"), address("cid"))
        mail.rewrite(mail.recipients[0], address("dan"), address("eve"))
        self.assertEqual([each.address.local for each in mail.recipients], ["dan", "eve", "cid"])
        self.assertEqual([each.recipient for each in mail.expanded or ()], [to])
