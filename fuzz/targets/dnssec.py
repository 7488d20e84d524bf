"""
DNSSEC: whatever is done to an answer, or to the DS and DNSKEY records above it, nothing raises, nothing forged is
secure, and nothing of a signed zone passes for insecure.

The first byte chooses the message that the rest takes the place of: one of four answers, or one of four of the chain.
"""

from __future__ import annotations

import struct
from typing import Final

import dns.exception
import dns.message
import dns.rcode
from dns.rdatatype import RdataType

from empath.mail.answer import Security
from tests.dns.dnssec.world import NOW, World, Zone, answer, around, name, nsec3, nsec3_hash, told

TOKENS: Final = (
    b"\xc0\x0c",
    b"\x03one\x04test\x00",
    b"\x04test\x00",
    b"\x01*",
    b"\x00\x2e\x00\x01",  # RRSIG, NSEC, NSEC3, DNSKEY, DS, CNAME, DNAME, SOA
    b"\x00\x2f\x00\x01",
    b"\x00\x32\x00\x01",
    b"\x00\x30\x00\x01",
    b"\x00\x2b\x00\x01",
    b"\x00\x05\x00\x01",
    b"\x00\x27\x00\x01",
    b"\x00\x06\x00\x01",
    b"\x01\x00\x00\x0f",
    b"\x01\x01\x03\x0f",
    b"\x85\x80",
    b"\x85\x83",
    struct.pack("!I", NOW),
)
_BROKEN: Final = (dns.exception.DNSException, ValueError, LookupError, ArithmeticError, TypeError, struct.error)


class Stage:
    """
    A world, and the messages that are genuine in it.
    """

    def __init__(self) -> None:
        self.world = World()
        one = self.world.zone("one.test", self.world.test)
        hashed = self.world.zone("hashed.test", self.world.test)
        self.answers = [*_positive(one), _denial(one), _hashed_denial(hashed)]
        above = [
            ("one.test", RdataType.DS),
            ("one.test", RdataType.DNSKEY),
            ("test", RdataType.DS),
            (".", RdataType.DNSKEY),
        ]
        self.chain = [self.world.answers[name(owner), rdtype] for owner, rdtype in above]

    def seeds(self) -> dict[str, bytes]:
        """
        Tell the genuine messages as inputs.
        """
        both = [*self.answers, *self.chain]
        return {f"genuine_{number}": bytes([number]) + each.to_wire() for number, each in enumerate(both)}

    def forge(self, number: int, changed: dns.message.Message) -> None:
        """
        Judge a message in the place of an answer, or an answer with a message in the place of one of the chain.
        """
        if number < len(self.answers):
            original = self.answers[number]
            if changed.question == original.question:
                self.judge(changed, original)
            return
        genuine = self.chain[number - len(self.answers)]
        if changed.question == genuine.question:
            self.world.validator.chain.clear()
            self.world.say(changed)
            try:
                self.judge(self.answers[0], self.answers[0])
            finally:
                self.world.say(genuine)
                self.world.validator.chain.clear()

    def judge(self, message: dns.message.Message, original: dns.message.Message) -> None:
        """
        Hold the verdict on a message against the one it was made from.
        """
        found = self.world.judge(message)
        assert found.security is not Security.INSECURE, found
        assert found.why.isprintable() and found.lifetime >= 0, found
        if found.security is Security.SECURE:
            (sets, end), (allowed, ended) = told(message), told(original)
            assert sets <= allowed, sets
            assert (end, message.rcode()) in ((ended, original.rcode()), ("alias", dns.rcode.NOERROR)), end


def _positive(zone: Zone) -> list[dns.message.Message]:
    alias, address = (
        zone.records("al.one.test", "CNAME", "mx1.one.test."),
        zone.records("mx1.one.test", "A", "192.0.2.1"),
    )
    gap = zone.nsec("m.one.test", "x.one.test.", "A")
    star = zone.signed(zone.records("*.one.test", "A", "192.0.2.9")[0], shown_as="n.one.test")
    return [answer("al.one.test", "A", [*alias, *address]), answer("n.one.test", "A", star, gap)]


def _denial(zone: Zone) -> dns.message.Message:
    gaps = [*zone.nsec("a.one.test", "z.one.test.", "A"), *zone.nsec("one.test", "a.one.test.", "SOA")]
    return answer("b.one.test", "MX", authority=[*zone.soa(), *gaps], rcode=dns.rcode.NXDOMAIN)


def _hashed_denial(zone: Zone) -> dns.message.Message:
    apex = nsec3_hash(zone.text)
    sets = [nsec3(zone.text, apex, around(apex)[1], "SOA", "NS", "MX")]
    sets += [nsec3(zone.text, *around(nsec3_hash(f"{label}.{zone.text}"))) for label in ("b", "*")]
    signed = [part for rrset in sets for part in zone.signed(rrset)]
    return answer(f"b.{zone.text}", "MX", authority=[*zone.soa(), *signed], rcode=dns.rcode.NXDOMAIN)


_STAGE: Final = Stage()


def one_input(data: bytes) -> None:
    """
    Read one message, and judge it.
    """
    number = (data[0] if data else 0) % (len(_STAGE.answers) + len(_STAGE.chain))
    try:
        changed = dns.message.from_wire(data[1:], ignore_trailing=True)
    except _BROKEN:
        return
    _STAGE.forge(number, changed)
