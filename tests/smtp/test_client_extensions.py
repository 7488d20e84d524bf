"""
The client session: what MAIL and RCPT say to servers of all kinds, and what it means for who reports.
"""

from __future__ import annotations

from typing import Final

import attrs
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from empath.mail.envelope import Recipient
from empath.mail.outcome import Custody, PermanentFailure, Scope, Success
from empath.smtp.client_events import Consignment, State, Terms
from empath.smtp.client_transfer import convertible
from empath.smtp.sasl import Credentials
from tests.smtp.client_driver import Driver, address, consignment

DONE = (b"250 a\r\n250 b\r\n354 c\r\n", b"250 d\r\n")
ALL = {
    "RET": "HDRS",
    "ENVID": "QQ314159",
    "BODY": "8BITMIME",
    "SIZE": "9",
    "MT-PRIORITY": "3",
    "AUTH": "e+3Dmc2@example.com",
    "BY": "120;R",
    "HOLDFOR": "5",
}


def ehlo(*keywords: str) -> bytes:
    """
    Spell a reply to EHLO.
    """
    return "".join(f"250-{word}\r\n" for word in ("mx", *keywords)).encode() + b"250 PIPELINING\r\n"


def told(text: str, **parameters: str) -> Recipient:
    """
    Make a recipient with parameters.
    """
    return Recipient(address(text), parameters)


def mail(driver: Driver) -> str:
    """
    Give the parameters of MAIL.
    """
    return driver.written.decode().partition("\r\n")[0].partition("> ")[2]


def rcpts(driver: Driver) -> list[str]:
    """
    Give the RCPTs.
    """
    return [line[5:] for line in driver.written.decode().split("\r\n") if line.startswith("RCPT")]


class DsnTests(SynchronousTestCase):
    """
    Delivery status notifications (RFC 3461).
    """

    def test_forwarded(self) -> None:
        """
        RET, ENVID, NOTIFY and ORCPT go on to a server that knows DSN, which then owes the report.
        """
        recipient = told("b@example.org", NOTIFY="SUCCESS,FAILURE", ORCPT="rfc822;Bob+2Bx@example.com")
        driver = Driver().opened(ehlo("DSN")).begin(consignment(recipients=(recipient,), parameters=ALL))
        self.assertEqual(mail(driver), "RET=HDRS ENVID=QQ314159")
        self.assertEqual(rcpts(driver), ["TO:<b@example.org> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;Bob+2Bx@example.com"])
        driver.say(*DONE)
        (outcome,) = driver.ended().outcomes
        assert isinstance(outcome, Success)
        self.assertIs(outcome.custody, Custody.PASSED_ON)

    def test_original_recipient_added(self) -> None:
        """
        Without an ORCPT the address that we have is the original one, in xtext.
        """
        driver = Driver().opened(ehlo("DSN")).begin(consignment("b+x=y@example.org"))
        self.assertEqual(rcpts(driver), ["TO:<b+x=y@example.org> ORCPT=rfc822;b+2Bx+3Dy@example.org"])

    def test_not_known(self) -> None:
        """
        A server without DSN gets none of them, and the report is ours.
        """
        recipient = told("b@example.org", NOTIFY="NEVER", ORCPT="rfc822;x@y")
        driver = Driver().opened(ehlo()).begin(consignment(recipients=(recipient,), parameters=ALL))
        self.assertEqual((mail(driver), rcpts(driver)), ("", ["TO:<b@example.org>"]))
        driver.say(*DONE)
        (outcome,) = driver.ended().outcomes
        assert isinstance(outcome, Success)
        self.assertIs(outcome.custody, Custody.RELAYED)

    def test_step_by_step(self) -> None:
        """
        The same without PIPELINING.
        """
        driver = Driver().opened(b"250-mx\r\n250 DSN\r\n").begin(consignment(parameters={"RET": "FULL"}))
        driver.say(b"250 a\r\n")
        self.assertEqual((mail(driver), rcpts(driver)), ("RET=FULL", ["TO:<b@example.org> ORCPT=rfc822;b@example.org"]))

    def test_no_smuggling(self) -> None:
        """
        A value that is no parameter value is left out.
        """
        for value in ("x\r\nRCPT TO:<evil@example.org>", "x SIZE=1", "a=b", "ü", ""):
            recipient = told("b@example.org", NOTIFY=value, ORCPT="rfc822;b")
            driver = Driver().opened(ehlo("DSN"))
            driver.begin(consignment(recipients=(recipient,), parameters={"ENVID": value}))
            self.assertEqual((mail(driver), rcpts(driver)), ("", ["TO:<b@example.org> ORCPT=rfc822;b"]))


class Utf8Tests(SynchronousTestCase):
    """
    Internationalized mail (RFC 6531).
    """

    def test_address(self) -> None:
        """
        SMTPUTF8 is asked for where an address needs it, whoever's it is; original recipients may be in UTF-8 then.
        """
        for carried, said in (
            (consignment("ü@example.org"), ["TO:<ü@example.org> ORCPT=utf-8;ü@example.org"]),
            (consignment("می\u200cخ@example.org"), ["TO:<می\u200cخ@example.org> ORCPT=utf-8;می\u200cخ@example.org"]),
            (consignment(sender="ü@example.net"), ["TO:<b@example.org> ORCPT=rfc822;b@example.org"]),
            (consignment(utf8=True), ["TO:<b@example.org> ORCPT=rfc822;b@example.org"]),
            (
                consignment(recipients=(told("ü@example.org", ORCPT="utf-8;ö@example.org"),)),
                ["TO:<ü@example.org> ORCPT=utf-8;ö@example.org"],
            ),
        ):
            driver = Driver().opened(ehlo("SMTPUTF8", "DSN")).begin(carried)
            self.assertEqual((mail(driver), rcpts(driver)), ("SMTPUTF8", said))

    def test_not_needed(self) -> None:
        """
        Mail in ASCII does not ask for it.
        """
        self.assertEqual(mail(Driver().opened(ehlo("SMTPUTF8")).begin(consignment())), "")

    def test_original_recipient_in_ascii(self) -> None:
        """
        An original recipient in UTF-8 goes to a server that is not asked for SMTPUTF8 in the form of RFC 6533 §3.
        """
        carried = consignment(recipients=(told("b@example.org", ORCPT="utf-8;ü@example.org"),))
        driver = Driver().opened(ehlo("DSN")).begin(carried)
        self.assertEqual(rcpts(driver), ["TO:<b@example.org> ORCPT=utf-8;\\x{FC}@example.org"])

    def test_original_recipient_escaped(self) -> None:
        """
        What may not stand in an address as it is gets escaped in the original recipient.
        """
        driver = Driver().opened(ehlo("SMTPUTF8", "DSN")).begin(consignment("ü+\\=@example.org"))
        self.assertEqual(rcpts(driver), ["TO:<ü+\\=@example.org> ORCPT=utf-8;ü\\x{2B}\\x{5C}\\x{3D}@example.org"])

    def test_not_offered(self) -> None:
        """
        Without SMTPUTF8 the message fails if header or sender need it, otherwise the recipients that do: 550 5.6.7.
        """
        for carried, scope in (
            (consignment(utf8=True), Scope.MESSAGE),
            (consignment(sender="a@exämple.net"), Scope.MESSAGE),
            (consignment("ü@example.org"), Scope.RECIPIENT),
        ):
            driver = Driver().opened(ehlo("8BITMIME")).begin(carried)
            (outcome,) = driver.ended().outcomes
            assert isinstance(outcome, PermanentFailure)
            self.assertEqual((driver.written, str(outcome.reply)[:9], outcome.scope), (b"", "550 5.6.7", scope))
        driver = Driver().opened(ehlo()).begin(consignment("b@example.org", "ü@example.org"))
        self.assertEqual(rcpts(driver), ["TO:<b@example.org>"])


class DeliverByTests(SynchronousTestCase):
    """
    Delivery within a time (RFC 2852).
    """

    def ended(self, offer: str, by: tuple[int, str], *more: str) -> Driver:
        """
        Run a transaction.
        """
        return Driver().opened(ehlo(offer, *more)).begin(consignment(deliver_by=by))

    def test_forwarded(self) -> None:
        """
        What is left of the time goes on, with its mode; more than nine digits cannot be said.
        """
        for by, said in (
            ((90, "R"), "BY=90;R"),
            ((-5, "NT"), "BY=-5;NT"),
            ((10**10, "N"), "BY=999999999;N"),
            ((-(10**10), "N"), "BY=-999999999;N"),
        ):
            self.assertEqual(mail(self.ended("DELIVERBY", by)), said)

    def test_return(self) -> None:
        """
        Mail that is to come back goes on only where its time is kept, and not once it is over: 554 5.4.7.
        """
        for offer, by, fails in (
            ("DELIVERBY", (90, "R"), False),
            ("DELIVERBY 90", (90, "RT"), False),
            ("DELIVERBY 91", (90, "R"), True),
            ("DSN", (90, "R"), True),
            ("DELIVERBY", (0, "R"), True),
            ("DELIVERBY 91", (90, "N"), False),
        ):
            driver = self.ended(offer, by)
            self.assertEqual(driver.written == b"", fails)
            if fails:
                (outcome,) = driver.ended().outcomes
                self.assertEqual(str(outcome.reply)[:9], "554 5.4.7")

    def test_notify(self) -> None:
        """
        Mail whose sender is only to be told of a delay goes anywhere; where the time is not kept, the relay is told,
        unless that time is over.
        """
        for offer, seconds, custody in (
            (("DELIVERBY", "DSN"), 90, Custody.PASSED_ON),
            (("DELIVERBY",), 90, Custody.RELAYED),
            (("DSN",), 90, Custody.UNTIMED),
            (("SIZE",), 90, Custody.UNTIMED),
            (("DSN",), 0, Custody.PASSED_ON),
            (("SIZE",), -1, Custody.RELAYED),
        ):
            driver = self.ended(offer[0], (seconds, "N"), *offer[1:]).say(*DONE)
            (outcome,) = driver.ended().outcomes
            assert isinstance(outcome, Success)
            self.assertIs(outcome.custody, custody)

    def test_delays_asked_for(self) -> None:
        """
        A server that does not keep the time is asked to tell of delays (RFC 2852 §4.1.4.2), but for who wants nothing.
        """
        for notify, seconds, said in (
            (None, 90, "FAILURE,DELAY"),
            ("SUCCESS", 90, "SUCCESS,DELAY"),
            ("DELAY,FAILURE", 90, "DELAY,FAILURE"),
            ("NEVER", 90, "NEVER"),
            ("SUCCESS", 0, "SUCCESS"),
        ):
            recipient = told("b@example.org", **({} if notify is None else {"NOTIFY": notify}))
            for offer in (ehlo("DSN"), b"250-mx\r\n250 DSN\r\n"):
                driver = Driver().opened(offer)
                driver.begin(consignment(recipients=(recipient,), deliver_by=(seconds, "N"))).say(b"250 ok\r\n")
                self.assertIn(f" NOTIFY={said} ", rcpts(driver)[0])


class OtherTests(SynchronousTestCase):
    """
    Priority, AUTH=, and all at once.
    """

    def test_priority(self) -> None:
        """
        MT-PRIORITY goes on where it is known (RFC 6710).
        """
        driver = Driver().opened(ehlo("MT-PRIORITY STANAG4406")).begin(consignment(parameters={"MT-PRIORITY": "-4"}))
        self.assertEqual(mail(driver), "MT-PRIORITY=-4")

    def test_auth(self) -> None:
        """
        AUTH= goes only to a server that we logged in to, and always to that one (RFC 4954 §5).
        """
        offer = ehlo("AUTH PLAIN")
        self.assertEqual(mail(Driver().opened(offer).begin(consignment(parameters=ALL))), "")
        terms = Terms("c.example.net", "mx", credentials=Credentials("me", "secret"), clear_auth=True)
        driver = Driver(terms).say(b"220 x\r\n", offer, b"235 in\r\n")
        for parameters, said in ((ALL, "AUTH=e+3Dmc2@example.com"), ({"AUTH": "<>"}, "AUTH=<>"), ({}, "AUTH=<>")):
            driver.written = b""
            self.assertEqual(mail(driver.begin(consignment(parameters=parameters))), said)
            driver.say(*DONE)

    def test_all(self) -> None:
        """
        All that a server may be told.
        """
        offer = ehlo("SIZE", "8BITMIME", "SMTPUTF8", "DSN", "DELIVERBY", "MT-PRIORITY")
        carried = consignment(parameters=ALL, deliver_by=(60, "R"), utf8=True, eight_bit=True)
        self.assertEqual(
            mail(Driver().opened(offer).begin(carried)),
            "SIZE=23 BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=QQ314159 BY=60;R MT-PRIORITY=3",
        )

    def test_convertible(self) -> None:
        """
        Content has to be made 7-bit where the server takes neither 8BITMIME nor, if it is binary, BINARYMIME.
        """
        for eight_bit, binary, offer, expected in (
            (False, False, ehlo(), False),
            (True, False, ehlo(), True),
            (True, False, ehlo("8BITMIME"), False),
            (True, True, ehlo("8BITMIME", "CHUNKING"), True),
            (False, True, ehlo("BINARYMIME", "CHUNKING"), False),
        ):
            carried: Consignment = consignment(eight_bit=eight_bit, binary=binary)
            self.assertEqual(convertible(carried, Driver().opened(offer).session.offer), expected)

    @settings(max_examples=100, deadline=None)
    @given(
        st.dictionaries(st.sampled_from(["RET", "ENVID", "MT-PRIORITY", "NOTIFY", "ORCPT"]), st.text(max_size=20)),
        st.text(min_size=1, max_size=8),
        st.booleans(),
    )
    def test_one_line_a_command(self, parameters: dict[str, str], local: str, utf8: bool) -> None:
        """
        Whatever addresses and parameters hold, each command is one line, and ASCII unless SMTPUTF8 was asked for.
        """
        carried = consignment(recipients=(told(f"{local}@example.org", **parameters),), parameters=parameters)
        driver = Driver().opened(ehlo("DSN", "MT-PRIORITY", *(["SMTPUTF8"] if utf8 else []))).begin(carried)
        lines = driver.written.split(b"\r\n")
        self.assertIn(len(lines), (1, 4))
        self.assertFalse(any(byte < 32 for line in lines for byte in line))
        self.assertTrue(driver.written.isascii() or b"SMTPUTF8" in lines[0].split())


class RequireTlsTests(SynchronousTestCase):
    """
    REQUIRETLS (RFC 8689).
    """

    TERMS = Terms("client.example.net", "mx.example.org", secured=True, guarded=True)
    ASKED: Final = {"REQUIRETLS": "", "RET": "FULL"}

    def test_forwarded(self) -> None:
        """
        It goes on to a server that is vouched for and offers it over TLS; what TLS-Required said never does.
        """
        driver = Driver(self.TERMS).opened(ehlo("REQUIRETLS"))
        driver.begin(consignment(parameters={**self.ASKED, "TLS-REQUIRED": "No"}))
        self.assertEqual(mail(driver), "REQUIRETLS")
        driver = Driver(self.TERMS).opened(ehlo("REQUIRETLS")).begin(consignment(parameters={"TLS-REQUIRED": "No"}))
        self.assertEqual(mail(driver), "")

    def test_after_starttls(self) -> None:
        """
        What counts is what the server offers once there is TLS.
        """
        terms = Terms("client.example.net", "mx.example.org", guarded=True)
        for first, second, wanted in (
            (ehlo("STARTTLS"), ehlo("REQUIRETLS"), ["Success 250"]),
            (ehlo("STARTTLS", "REQUIRETLS"), ehlo(), ["PermanentFailure 550"]),
        ):
            driver = Driver(terms).say(b"220 hello\r\n", first, b"220 go\r\n", second)
            driver.begin(consignment(parameters=self.ASKED))
            if wanted == ["Success 250"]:
                driver.say(*DONE)
            self.assertEqual(driver.codes(), wanted)

    def test_unmet(self) -> None:
        """
        Nothing is said of the message to a server in cleartext, not vouched for or without the extension; the next host
        may do, and this one is good for other mail.
        """
        for terms, offers in (
            (attrs.evolve(self.TERMS, secured=False, starttls=False), ehlo("REQUIRETLS")),
            (attrs.evolve(self.TERMS, guarded=False), ehlo("REQUIRETLS")),
            (self.TERMS, ehlo()),
        ):
            driver = Driver(terms).opened(offers).begin(consignment("b@x.test", "c@x.test", parameters=self.ASKED))
            self.assertEqual(driver.written, b"")
            for outcome in driver.ended().outcomes:
                assert isinstance(outcome, PermanentFailure)
                self.assertEqual((outcome.reply.code, outcome.reply.enhanced), (550, "5.7.30"))
                self.assertIs(outcome.scope, Scope.HOST)
            self.assertIs(driver.session.state, State.READY)

    def test_bounces(self) -> None:
        """
        They keep the promise where they can, and go on where they cannot (§5).
        """
        bounce = consignment(sender=None, parameters={"REQUIRETLS": ""})
        for terms, offers, wanted in (
            (self.TERMS, ehlo("REQUIRETLS"), "REQUIRETLS"),
            (self.TERMS, ehlo(), ""),
            (attrs.evolve(self.TERMS, guarded=False), ehlo("REQUIRETLS"), ""),
        ):
            driver = Driver(terms).opened(offers).begin(bounce)
            self.assertIn(b"MAIL FROM:<>", driver.written)
            self.assertEqual(mail(driver), wanted)
