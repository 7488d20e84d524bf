"""
Zones for `tests.e2e.dns_lab`: what they say, how they are signed, and what is wrong with them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from enum import Enum
from typing import Final

import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdataset
import dns.rdatatype
import dns.zone

TTL: Final = 60
TAMPERED: Final = (
    dns.rdatatype.A,
    dns.rdatatype.AAAA,
    dns.rdatatype.MX,
    dns.rdatatype.TXT,
    dns.rdatatype.TLSA,
)


class Signing(Enum):
    """
    How a zone is signed.
    """

    NONE = "none"  # and its parent has no DS: insecure
    NSEC = "nsec"
    NSEC3 = "nsec3"
    OPT_OUT = "opt-out"  # NSEC3 that skips insecure delegations (RFC 5155 §6)


class Flaw(Enum):
    """
    What is wrong with a zone.
    """

    NONE = "none"
    WRONG_DS = "wrong-ds"  # the parent vouches for another key
    EXPIRED = "expired"  # all signatures ended yesterday
    NOT_YET = "not-yet"  # all signatures begin tomorrow
    TAMPERED = "tampered"  # addresses, MX, TXT and TLSA changed after they were signed
    STRIPPED = "stripped"  # the parent has a DS, and nothing is signed
    FOREIGN_DS = "foreign-ds"  # the only DS is of an algorithm that nobody has: insecure (RFC 4035 §5.2)


class Zone:
    """
    One zone. What it says may change until `serve`, and again before the next `serve`.
    """

    def __init__(self, name: str, signing: Signing, flaw: Flaw, algorithm: str, iterations: int) -> None:
        self.name = name
        self.signing = signing
        self.flaw = flaw
        self.algorithm = algorithm
        self.iterations = iterations
        self.records: list[str] = []
        self.after: list[Callable[[dns.zone.Zone], None]] = []

    @property
    def origin(self) -> str:
        """
        Its name with the final dot.
        """
        return "." if self.name == "." else f"{self.name}."

    @property
    def stem(self) -> str:
        """
        What its files are called.
        """
        return "root" if self.name == "." else self.name

    @property
    def signed(self) -> bool:
        """
        Whether it is to have signatures.
        """
        return self.signing is not Signing.NONE and self.flaw is not Flaw.STRIPPED

    def add(self, *records: str) -> Zone:
        """
        Add records ("www A 192.0.2.1", "@ MX 10 mx1", "mx1 30 AAAA ::1"): names without final dot are below the zone.
        """
        self.records += records
        return self

    def clear(self) -> Zone:
        """
        Drop all its records, and what was to be done to it after signing.
        """
        self.records.clear()
        self.after.clear()
        return self

    def mail(self, *addresses: str, owner: str = "@") -> Zone:
        """
        MX hosts mx1, mx2, … of `owner` with these addresses, the first preferred.
        """
        below = "" if owner == "@" else f".{owner}"
        for nth, address in enumerate(addresses, 1):
            kind = "AAAA" if ":" in address else "A"
            self.add(f"{owner} MX {10 * nth} mx{nth}{below}", f"mx{nth}{below} {kind} {address}")
        return self

    def tlsa(self, host: str, port: int, usage: int, selector: int, matching: int, association: bytes) -> Zone:
        """
        A TLSA record for a port of `host`, a name within the zone.
        """
        below = "" if host == "@" else f".{host}"
        return self.add(f"_{port}._tcp{below} TLSA {usage} {selector} {matching} {association.hex()}")

    def text(self, owner: str, text: str) -> Zone:
        """
        A TXT record, in strings of 255 octets at most.
        """
        parts = [text[start : start + 255] for start in range(0, len(text), 255)] or [""]
        escaped = [part.replace("\\", "\\\\").replace('"', '\\"') for part in parts]
        return self.add(f"{owner} TXT " + " ".join(f'"{part}"' for part in escaped))

    def mta_sts(self, ident: str, owner: str = "@", address: str = "") -> Zone:
        """
        The record that announces an MTA-STS policy (RFC 8461 §3.1), and the policy host's address if there is one.
        """
        below = "" if owner == "@" else f".{owner}"
        if address:
            self.add(f"mta-sts{below} {'AAAA' if ':' in address else 'A'} {address}")
        return self.text(f"_mta-sts{below}", f"v=STSv1; id={ident};")

    def tls_rpt(self, rua: str, owner: str = "@") -> Zone:
        """
        The record that asks for TLS reports (RFC 8460 §3).
        """
        return self.text("_smtp._tls" + ("" if owner == "@" else f".{owner}"), f"v=TLSRPTv1; rua={rua}")

    def spoil(self, change: Callable[[dns.zone.Zone], None]) -> Zone:
        """
        Change what the server serves after it was signed; names in it are absolute.
        """
        self.after.append(change)
        return self

    def unsign(self, owner: str, rdtype: str) -> Zone:
        """
        Drop the signatures over one set of records.
        """
        return self.spoil(lambda zone: _unsign(zone, self.absolute(owner), dns.rdatatype.from_text(rdtype)))

    def tamper(self, owner: str, rdtype: str, *records: str) -> Zone:
        """
        Put others in the place of signed records, and keep the signatures.
        """
        kind = dns.rdatatype.from_text(rdtype)
        put = dns.rdataset.from_text_list(dns.rdataclass.IN, kind, TTL, list(records))
        return self.spoil(lambda zone: zone.replace_rdataset(self.absolute(owner), put))

    def absolute(self, owner: str) -> dns.name.Name:
        """
        The whole name of `owner`.
        """
        origin = dns.name.from_text(self.origin)
        return origin if owner == "@" else dns.name.from_text(owner, origin)


def tamper_all(zone: dns.zone.Zone) -> None:
    """
    Change all addresses, and the last octet of the other records that tests care for, behind the signatures' back.
    """
    for name in list(zone.nodes):
        for rdataset in [found for found in zone.nodes[name].rdatasets if found.rdtype in TAMPERED]:
            changed = dns.rdataset.Rdataset(rdataset.rdclass, rdataset.rdtype, ttl=rdataset.ttl)
            for rdata in rdataset:
                changed.add(_other(rdata))
            zone.replace_rdataset(name, changed)


def _other(rdata: dns.rdata.Rdata) -> dns.rdata.Rdata:
    """
    Make a record that means nearly the same: an MX of another preference, an address beside it, another text.
    """
    wire = rdata.to_digestable()
    match rdata.rdtype:
        case dns.rdatatype.MX:
            wire = wire[:1] + bytes([wire[1] ^ 1]) + wire[2:]
        case dns.rdatatype.TXT:
            wire += b"\0"
        case _:
            wire = wire[:-1] + bytes([wire[-1] ^ 1])
    return dns.rdata.from_wire(rdata.rdclass, rdata.rdtype, wire, 0, len(wire))


def _unsign(zone: dns.zone.Zone, name: dns.name.Name, covers: dns.rdatatype.RdataType) -> None:
    """
    Drop the signatures of one type's records.
    """
    with contextlib.suppress(KeyError):
        zone.delete_rdataset(name, dns.rdatatype.RRSIG, covers)
