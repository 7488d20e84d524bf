"""
Zones that a test makes up and signs, and the answers of a resolver that knows them all.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Sequence
from typing import Final

import dns.dnssec
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rrset
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from dns.dnssectypes import Algorithm, DSDigest
from dns.rdatatype import RdataType
from dns.rdtypes.ANY.DNSKEY import DNSKEY
from dns.rdtypes.ANY.NSEC import Bitmap
from dns.rrset import RRset
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock

from empath.dns.dnssec.anchors import Anchors, read_anchors
from empath.dns.dnssec.evidence import alias_at, records_at
from empath.dns.dnssec.keys import Key, usable_keys
from empath.dns.dnssec.validator import MAX_ALIASES, Finding, Validator
from empath.dns.question import Question

NOW: Final = 1_800_000_000
DAY: Final = 86400
TTL: Final = 300


def name(text: str) -> dns.name.Name:
    """
    Read a name as absolute.
    """
    return dns.name.from_text(text)


def records(owner: str, rdtype: str, *texts: str, ttl: int = TTL) -> RRset:
    """
    Make a set of records.
    """
    return dns.rrset.from_text_list(name(owner), ttl, "IN", rdtype, list(texts))


class Zone:
    """
    A zone with one key for everything.
    """

    def __init__(self, text: str, seed: int = 1) -> None:
        self.text = text
        self.name = name(text)
        self.private = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(f"{text} {seed}".encode()).digest())
        self.dnskey: DNSKEY = dns.dnssec.make_dnskey(self.private.public_key(), Algorithm.ED25519, 257)

    @property
    def keys(self) -> tuple[Key, ...]:
        """
        Its keys as the validator has them.
        """
        return usable_keys([self.dnskey])

    @property
    def ds(self) -> str:
        """
        What its parent says of it.
        """
        return dns.dnssec.make_ds(self.name, self.dnskey, DSDigest.SHA256).to_text()

    def signature(self, rrset: RRset, start: int = NOW - DAY, end: int = NOW + DAY) -> dns.rdata.Rdata:
        """
        Sign a set of records, for that time.
        """
        return dns.dnssec.sign(
            rrset, self.private, self.name, self.dnskey, inception=start, expiration=end, deterministic=False
        )

    def signed(self, rrset: RRset, start: int = NOW - DAY, end: int = NOW + DAY, shown_as: str = "") -> list[RRset]:
        """
        Make a set of records and its signature; those of a wildcard may be shown as another name's.
        """
        signature = dns.rrset.from_rdata(rrset.name, rrset.ttl, self.signature(rrset, start, end))
        shown = [rrset, signature]
        if shown_as:
            shown = [dns.rrset.from_rdata_list(name(shown_as), TTL, list(part)) for part in shown]
        return shown

    def records(self, owner: str, rdtype: str, *texts: str) -> list[RRset]:
        """
        Make signed records.
        """
        return self.signed(records(owner, rdtype, *texts))

    def nsec(self, owner: str, following: str, *types: str) -> list[RRset]:
        """
        Make a signed NSEC record.
        """
        return self.records(owner, "NSEC", f"{following} {' '.join((*types, 'RRSIG', 'NSEC'))}")

    def soa(self) -> list[RRset]:
        """
        Make its signed SOA.
        """
        return self.records(self.text, "SOA", f"ns.lab. root.lab. 1 2 3 4 {TTL}")


def nsec3_hash(text: str, iterations: int = 0, salt: bytes = b"") -> bytes:
    """
    Hash a name.
    """
    digest = name(text).to_digestable()
    for _ in range(iterations + 1):
        digest = hashlib.sha1(digest + salt).digest()
    return digest


def nsec3(
    zone: str, at: bytes, following: bytes, *types: str, opt_out: bool = False, iterations: int = 0, algorithm: int = 1
) -> RRset:
    """
    Make an NSEC3 record without salt.
    """
    rdata = dns.rdata.from_text(
        "IN", "NSEC3", f"{algorithm} {int(opt_out)} {iterations} - {base64.b32hexencode(following).decode()}"
    )
    windows = Bitmap.from_rdtypes([dns.rdatatype.from_text(each) for each in types]).windows
    owner = dns.name.Name([base64.b32hexencode(at).lower(), *name(zone).labels])
    return dns.rrset.from_rdata(owner, TTL, rdata.replace(windows=windows))


def around(digest: bytes) -> tuple[bytes, bytes]:
    """
    Tell hashes just before and after one.
    """
    number = int.from_bytes(digest, "big")
    return (number - 1).to_bytes(20, "big"), (number + 1).to_bytes(20, "big")


def answer(
    owner: str,
    rdtype: str,
    answers: Iterable[RRset] = (),
    authority: Iterable[RRset] = (),
    rcode: int = dns.rcode.NOERROR,
) -> dns.message.Message:
    """
    Make the answer to a question, as it comes over the wire.
    """
    query = dns.message.make_query(name(owner), rdtype, want_dnssec=True)
    message = dns.message.make_response(query)
    message.set_rcode(dns.rcode.Rcode(rcode))
    for section, found in ((message.answer, answers), (message.authority, authority)):
        for rrset in found:
            kept = message.find_rrset(section, rrset.name, rrset.rdclass, rrset.rdtype, rrset.covers, create=True)
            kept.update(rrset)
            kept.ttl = rrset.ttl
    return dns.message.from_wire(message.to_wire(max_size=65535))


class World:
    """
    A root and "test" that are signed; what else there is, and all that is said, the test adds.

    `asked` records the questions that came; `silent` are names nobody answers for.
    """

    def __init__(self) -> None:
        self.clock = Clock()
        self.clock.rightNow = NOW
        self.answers: dict[tuple[dns.name.Name, RdataType], dns.message.Message] = {}
        self.asked: list[tuple[str, str]] = []
        self.silent: set[str] = set()
        self.held: list[tuple[Deferred[dns.message.Message | None], dns.message.Message | None]] | None = None
        self.root = Zone(".")
        self.say(answer(".", "DNSKEY", self.root.signed(self.key_set(self.root))))
        self.test = self.zone("test", self.root)
        self.validator = self.make_validator()

    def make_validator(self, anchors: Anchors | None = None) -> Validator:
        """
        Make one that trusts the root.
        """
        return Validator(anchors or read_anchors(f". IN DS {self.root.ds}"), self.ask, self.clock)

    def key_set(self, *zones: Zone) -> RRset:
        """
        Make the DNSKEY records of a zone, of the keys of all of these.
        """
        return dns.rrset.from_rdata_list(zones[0].name, TTL, [zone.dnskey for zone in zones])

    def zone(self, text: str, parent: Zone) -> Zone:
        """
        Add a signed zone that its parent vouches for.
        """
        made = Zone(text)
        self.say(answer(text, "DS", parent.records(text, "DS", made.ds)))
        self.say(answer(text, "DNSKEY", made.signed(self.key_set(made))))
        return made

    def insecure(self, text: str, parent: Zone) -> None:
        """
        Add a zone that is not signed.
        """
        self.say(answer(text, "DS", authority=[*parent.soa(), *parent.nsec(text, f"~.{parent.name}", "NS")]))

    def say(self, message: dns.message.Message) -> None:
        """
        Answer so from now on.
        """
        self.answers[message.question[0].name, message.question[0].rdtype] = message

    def ask(self, owner: dns.name.Name, rdtype: RdataType) -> Deferred[dns.message.Message | None]:
        """
        The validator's questions; a name that nobody told of has no records, and nobody signs that.
        """
        self.asked.append((owner.to_text(), dns.rdatatype.to_text(rdtype)))
        said = self.answers.get((owner, rdtype)) or answer(owner.to_text(), dns.rdatatype.to_text(rdtype))
        told = None if owner.to_text() in self.silent else said
        if self.held is None:
            return succeed(told)
        self.held.append((Deferred(), told))
        return self.held[-1][0]

    def release(self) -> None:
        """
        Give all answers that were held back.
        """
        waiting, self.held = self.held or [], None
        for turn, told in waiting:
            if not turn.called:
                turn.callback(told)

    def judge(self, message: dns.message.Message, validator: Validator | None = None) -> Finding:
        """
        Validate a message at once.
        """
        found: list[Finding] = []
        judging = self.start(message, validator)
        judging.addCallback(found.append)
        if not found:
            raise AssertionError(f"no verdict: {judging}")
        return found[0]

    def start(self, message: dns.message.Message, validator: Validator | None = None) -> Deferred[Finding]:
        """
        Begin to validate a message.
        """
        asked = message.question[0]
        question = Question(asked.name.to_text(), dns.rdatatype.to_text(asked.rdtype), asked.name, asked.rdtype)
        return Deferred.fromCoroutine((validator or self.validator).validate(question, message))


def told(
    message: dns.message.Message,
) -> tuple[frozenset[tuple[dns.name.Name, RdataType, frozenset[dns.rdata.Rdata]]], str]:
    """
    Tell what a reader takes from a message: the sets of records from alias to alias, and how they end.
    """
    asked = message.question[0]
    owner, found = asked.name, []
    for _ in range(MAX_ALIASES + 1):
        rrset = records_at(message, owner, asked.rdtype)
        alias = None if rrset else alias_at(message, owner)
        if rrset is not None or alias is None:
            found += [rrset] if rrset else []
            end = "records" if rrset else "denial" if message.authority or not found else "alias"
            return frozenset((each.name, each.rdtype, frozenset(each)) for each in found), end
        found.append(alias[0])
        owner = alias[1]
    return frozenset(), "circle"


def without(sets: Sequence[RRset], rdtype: str) -> list[RRset]:
    """
    Leave out all of one type.
    """
    return [rrset for rrset in sets if rrset.rdtype != dns.rdatatype.from_text(rdtype)]
