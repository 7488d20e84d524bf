"""
DANE as it is on the wire: zones that BIND signed, servers with certificates of every kind, and Postfix's word on them.
"""

from __future__ import annotations

import json
import os
import ssl
import subprocess
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import attrs
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from empath.mail.answer import TlsaRecord
from tests.deliver.shaking import PAST, Authority, Shown, self_made, tlsa
from tests.e2e.dns_lab import DnsLab, Signing, Zone
from tests.e2e.harness import EndToEndTestCase
from tests.e2e.processes import require_program
from tests.e2e.program import Empath
from tests.e2e.storing_session import Options

DANE, ENCRYPTED, WAITS = "dane", "encrypted", "waits"
NOT_FOUND = "Destination address lookup failed"


@attrs.frozen(eq=False)
class Case:
    """
    One destination: what its host shows (None: no STARTTLS), its records, and what is to become of mail for it.
    """

    name: str
    shown: Shown | None
    records: Sequence[TlsaRecord]
    becomes: str
    change: Callable[[Zone, str, str], object] | None = None


class DaneTestCase(EndToEndTestCase):
    """
    Each destination has a host of its own, mx1 below its name.
    """

    def setUp(self) -> None:
        super().setUp()
        self.finger = require_program("posttls-finger")
        (self.folder / "main.cf").write_text("compatibility_level = 3.6\ninet_protocols = ipv4\n")
        self.lab = DnsLab(self.folder, standard_port=True)
        self.addCleanup(self.lab.stop)
        self.signed = self.lab.zone("dane.test")
        self.plain = self.lab.zone("plain.test", Signing.NONE)
        self.authority = Authority()
        self.addresses = iter(f"127.0.{block}.{host}" for block in (31, 32) for host in range(1, 200))

    def serve(self, shown: Shown | None) -> str:
        """
        Start a host; gives its address.
        """
        address = next(self.addresses)
        context = None
        if shown is not None:
            file = self.folder / f"{address}.pem"
            key: Any = shown.key
            pem = [key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())]
            file.write_bytes(b"".join(pem + [each.public_bytes(Encoding.PEM) for each in shown.chain]))
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(file)
        self.peer(address, Options(context=context))
        return address

    def publish(self, case: Case, zone: Zone) -> None:
        """
        Publish a destination in a zone.
        """
        zone.mail(self.serve(case.shown), owner=case.name)
        host = f"mx1.{case.name}"
        for record in case.records:
            zone.tlsa(host, self.peer_port, record.usage, record.selector, record.matching, record.association)
        if case.change is not None:
            case.change(zone, host, f"_{self.peer_port}._tcp.{host}")

    def begin(self, **dns: Any) -> Empath:
        """
        Serve the DNS, and start empath.
        """
        self.lab.serve()
        section = {"servers": [self.lab.server], "dnssec": "trust-ad", **dns}
        delivery: dict[str, Any] = {"port": self.peer_port, "dns": section, "tls": {"default_policy": "dane"}}
        empath = self.empath({"delivery": delivery, "log": {"format": "json"}})
        empath.start()
        return empath


class DaneTests(DaneTestCase):
    """
    Requirements on DANE.
    """

    def finger_says(self, domain: str) -> str:
        """
        Ask Postfix about a destination.
        """
        command = [self.finger, "-c", "-l", "dane", "-t", "10", "-T", "10", f"{domain}:{self.peer_port}"]
        environment = {**os.environ, "MAIL_CONFIG": str(self.folder)}
        said = NOT_FOUND
        for _ in range(5):  # so many at once are more than the resolver always bears while its cache is empty
            if NOT_FOUND in said:
                done = subprocess.run(
                    self.lab.within(command), capture_output=True, text=True, timeout=60, check=False, env=environment
                )
                said = done.stdout + done.stderr
        return said

    def compare(self, empath: Empath, zone: Zone, told: Sequence[Case]) -> None:
        """
        Each destination becomes of mail what it should, and Postfix says the same of it.
        """
        domains = {case: f"{case.name}.{zone.name}" for case in told}
        with ThreadPoolExecutor(8) as pool:  # each takes two seconds, most of them waiting
            said = list(pool.map(self.finger_says, domains.values()))
        wrong: list[str] = []
        for case, finger in zip(told, said, strict=True):
            queue_id = self.send(empath, [f"you@{domains[case]}"])
            [line] = empath.wait_logged(queue_id, '"status"')
            event = json.loads(line)
            became = event["security"] if event["status"] == "sent" else WAITS
            if (became, verdict(finger)) != (case.becomes, case.becomes):
                wrong.append(f"{case.name} should be {case.becomes}, but: {line}; posttls-finger: {finger}")
        self.assertEqual(wrong, [])

    def hosts(self) -> Iterator[Case]:
        """
        Make destinations of all kinds.
        """
        own, other = self_made("elsewhere.test", ended=True), self_made("other.test")
        own_leaf, other_leaf = own.chain[0], other.chain[0]
        for selector in (0, 1):
            for matching in (0, 1, 2):
                yield Case(f"m3{selector}{matching}", own, [tlsa(own_leaf, 3, selector, matching)], DANE)
                yield Case(f"w3{selector}{matching}", own, [tlsa(other_leaf, 3, selector, matching)], WAITS)
        yield Case("missing", own, [], ENCRYPTED)
        yield Case("useless", own, [tlsa(own_leaf, 1), tlsa(own_leaf, 0)], ENCRYPTED)
        yield Case("rollover", own, [tlsa(other_leaf), tlsa(own_leaf)], DANE)
        yield Case("weak", own, [tlsa(own_leaf, 3, 1, 1), tlsa(other_leaf, 3, 1, 2)], WAITS)
        yield Case("no-tls", None, [tlsa(own_leaf)], WAITS)
        yield Case(
            "bogus", own, [tlsa(own_leaf)], WAITS, lambda zone, _, at: zone.tamper(at, "TLSA", "3 1 1 " + "00" * 32)
        )
        yield Case("unsigned", own, [tlsa(own_leaf)], WAITS, lambda zone, _, at: zone.unsign(at, "TLSA"))

    def anchored(self) -> Iterator[Case]:
        """
        Make destinations whose records mean an issuer.
        """
        middle, root = self.authority.ca.create_child_ca(), self.authority.root
        for selector in (0, 1):
            for matching in (0, 1, 2):
                name = f"m2{selector}{matching}"
                shown = self.authority.issue(f"mx1.{name}.dane.test", ca=middle, root=True)
                yield Case(name, shown, [tlsa(shown.chain[1 + selector], 2, selector, matching)], DANE)
                hidden = self.authority.issue(f"mx1.h2{selector}{matching}.dane.test", ca=middle)
                becomes = WAITS if matching else DANE
                yield Case(f"h2{selector}{matching}", hidden, [tlsa(root, 2, selector, matching)], becomes)
        anchor = [tlsa(root, 2, 0, 1)]
        yield Case("domain", self.authority.issue("domain.dane.test", root=True), anchor, DANE)
        yield Case("wildcard", self.authority.issue("*.wildcard.dane.test", root=True), anchor, DANE)
        yield Case("misnamed", self.authority.issue("mx1.domain.dane.test", root=True), anchor, WAITS)
        ended = self.authority.issue(
            "mx1.ended.dane.test", root=True, not_before=PAST, not_after=PAST.replace(year=2021)
        )
        yield Case("ended", ended, anchor, WAITS)
        stranger = self_made("mx1.stranger.dane.test")
        yield Case("stranger", Shown((*stranger.chain, root), stranger.key), anchor, WAITS)
        yield Case("client", self_made("mx1.client.dane.test", client_only=True), anchor, WAITS)

    def aliases(self) -> Iterator[Case]:
        """
        Make destinations whose host is an alias: within signed zones, and out of them.
        """
        own, other = self_made("elsewhere.test"), self_made("other.test")
        right, wrong = tlsa(own.chain[0]), tlsa(other.chain[0])
        yield Case("below-target", own, [wrong], DANE, self.alias(own, self.signed, right))
        yield Case("below-name", own, [right], DANE, self.alias(own, self.signed))
        yield Case("out", own, [right], DANE, self.alias(own, self.plain, wrong))
        yield Case("out-wrong", own, [wrong], WAITS, self.alias(own, self.plain, right))

    def alias(self, shown: Shown, target: Zone, *records: TlsaRecord) -> Callable[[Zone, str, str], object]:
        """
        Make the host an alias of one in another zone, with records there.
        """

        def change(zone: Zone, host: str, _at: str) -> None:
            zone.records[:] = [each for each in zone.records if not each.startswith(f"{host} A ")]
            label = f"real-{host.replace('.', '-')}"
            zone.add(f"{host} CNAME {label}.{target.name}.")
            target.add(f"{label} A {self.serve(shown)}")
            for each in records:
                target.tlsa(label, self.peer_port, each.usage, each.selector, each.matching, each.association)

        return change

    def test_hosts_of_all_kinds(self) -> None:
        told = [*self.hosts(), *self.anchored(), *self.aliases()]
        for case in told:
            self.publish(case, self.signed)
        self.compare(self.begin(), self.signed, told)

    def test_hosts_of_all_kinds_as_we_validate(self) -> None:
        """
        The same where the signatures are checked here.
        """
        told = [*self.hosts(), *self.aliases()]
        for case in told:
            self.publish(case, self.signed)
        empath = self.begin(dnssec="validate", trust_anchor=str(self.lab.anchors), servers=[self.lab.server])
        self.compare(empath, self.signed, told)

    def test_zones_that_are_not_signed(self) -> None:
        """
        Records in them count for nothing; but a host in a signed zone is held to its records, whoever names it.
        """
        own, other = self_made("elsewhere.test"), self_made("other.test")
        told = [
            Case("plain", own, [tlsa(other.chain[0])], ENCRYPTED),
            Case("hosted", own, [], DANE, self.hosted_by("provider", own)),
            Case("hosted-wrong", own, [], WAITS, self.hosted_by("wrong", other)),
        ]
        self.publish(Case("provider", own, [tlsa(own.chain[0])], DANE), self.signed)
        self.publish(Case("wrong", own, [tlsa(other.chain[0])], WAITS), self.signed)
        for case in told:
            self.publish(case, self.plain)
        self.compare(self.begin(), self.plain, told)

    def hosted_by(self, name: str, _shown: Shown) -> Callable[[Zone, str, str], object]:
        """
        Name the host of another destination, in the signed zone.
        """

        def change(zone: Zone, host: str, _at: str) -> None:
            owner = host.partition(".")[2]
            zone.records[:] = [each for each in zone.records if not each.startswith((f"{owner} MX", f"{host} A"))]
            zone.add(f"{owner} MX 10 mx1.{name}.dane.test.")

        return change


def verdict(said: str) -> str:
    """
    Tell what posttls-finger's words mean for mail: "trusted" is "verified" where the MX records are not secure. Without
    records that can be used it goes on as for "secure", and has other words for what it finds then; where TLS is
    missing it says nothing at all.
    """
    if any(f": {word} TLS connection established" in said for word in ("Verified", "Trusted")):
        return DANE
    return ENCRYPTED if ": certificate verification failed for" in said else WAITS
