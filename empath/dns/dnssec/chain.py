"""
The chain of trust: from an anchor down to the zone that a name lies in, by DS and DNSKEY records (RFC 4035 §5).

Whose keys a name's records need is asked from below: the DS records of a name, or the proof that there are none, are
signed by the zone above, and so on up to an anchor, so that names without a zone of their own cost no question. What
was found out is kept; many who need the same ask once. Retried: silence, after `SILENCE`. Fatal: nothing.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Final, cast

import attrs
import dns.message
import dns.name
import dns.rcode
from dns.rdatatype import RdataType
from dns.rdtypes.ANY.DS import DS
from dns.rrset import RRset
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from empath.dns.dnssec.anchors import Anchors
from empath.dns.dnssec.denial import Denied
from empath.dns.dnssec.evidence import Broken, Zone, check_no_ds, check_records, records_at, signers
from empath.dns.dnssec.keys import Work, known_digests, signatures_of, usable_keys, verify, vouched_keys
from empath.mail.answer import Security

MAX_LABELS: Final = 40  # of a name whose zone is looked for; reverse names of IPv6 have 35
KEPT: Final = 10_000  # names that we remember the standing of
SILENCE: Final = 5.0  # seconds that the lack of an answer is remembered
BOGUS: Final = 60.0  # seconds that a broken chain is
SHORTEST: Final = 30.0  # seconds that anything proved is
LONGEST: Final = 86400.0
_TELLING: Final = (RdataType.DS, RdataType.CNAME, RdataType.NSEC, RdataType.NSEC3, RdataType.SOA)

Ask = Callable[[dns.name.Name, RdataType], Awaitable[dns.message.Message | None]]
"""
Asks for records with DO and CD set; the whole message, None if no server gave an answer.
"""


@attrs.frozen(slots=True, eq=False)
class Standing:
    """
    What holds for the records of a name until `until`: SECURE with the zone that signs them, INSECURE or BOGUS; the
    last because nobody answered where it is `silent`.
    """

    security: Security
    why: str
    until: float
    zone: Zone | None = None
    silent: bool = False


class Chain:
    """
    Finds out the standing of names; `asked` counts questions.
    """

    def __init__(self, anchors: Anchors, ask: Ask, clock: IReactorTime) -> None:
        self._anchors = anchors
        self._ask = ask
        self._clock = clock
        self._kept: OrderedDict[dns.name.Name, Standing] = OrderedDict()
        self._waiting: dict[dns.name.Name, list[Deferred[None]]] = {}
        self.asked = 0

    def __len__(self) -> int:
        return len(self._kept)

    def clear(self) -> None:
        """
        Forget everything.
        """
        self._kept.clear()

    async def standing(self, name: dns.name.Name) -> Standing:
        """
        Tell the standing of a name's own records (its DS excepted, which is its parent's).
        """
        while True:
            found = self._kept.get(name)
            if found is not None and found.until > self._clock.seconds():
                self._kept.move_to_end(name)
                return found
            waiting = self._waiting.get(name)
            if waiting is None:
                return await self._lead(name)
            turn: Deferred[None] = Deferred()
            waiting.append(turn)
            await turn

    async def _lead(self, name: dns.name.Name) -> Standing:
        """
        Find it out for all who wait; if we are cancelled, the next one of them begins anew.
        """
        self._waiting[name] = []
        try:
            found = await self._establish(name)
            self._kept[name] = found
            self._kept.move_to_end(name)
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
            return found
        finally:
            for turn in self._waiting.pop(name):
                if not turn.called:
                    turn.callback(None)

    async def _establish(self, name: dns.name.Name) -> Standing:
        anchored = self._anchors.get(name)
        if anchored is not None:
            return await self._with_keys(name, anchored, Work())
        if name == dns.name.root:
            return self._proved(Security.INSECURE, "no trust anchor covers it", LONGEST)
        if len(name) - 1 > MAX_LABELS:
            return self._bogus(f"{name}: more than {MAX_LABELS} labels")
        message = await self._answer(name, RdataType.DS)
        if message is None:
            return self._silent(f"{name}: no answer for DS")
        above = await self._above(name, message)
        if above.zone is None:
            return above
        return await self._below(name, message, above)

    async def _above(self, name: dns.name.Name, message: dns.message.Message) -> Standing:
        """
        Tell the standing of the zone that signed the answer about DS: or of the name above, if nobody did.
        """
        section = [*message.answer, *message.authority]
        for signer in signers(section, name, RdataType.DS, *_TELLING):
            found = await self.standing(signer)
            if found.zone is None or found.zone.name == signer:
                return found
        return await self.standing(name.parent())

    async def _below(self, name: dns.name.Name, message: dns.message.Message, above: Standing) -> Standing:
        """
        Judge the answer about the DS of `name`, which lies in a secure zone, or is one just below it.
        """
        assert above.zone is not None
        work, now = Work(), self._clock.seconds()
        rrset = records_at(message, name, RdataType.DS) or records_at(message, name, RdataType.CNAME)
        if rrset is not None:
            checked = check_records(message, rrset, above.zone, now, work)
            if isinstance(checked, Broken):
                return self._bogus(checked.why)
            if rrset.rdtype == RdataType.CNAME:  # an alias has nothing beside it, so no zone begins here
                return self._same(above, checked.lifetime)
            return await self._vouched(name, rrset, checked.lifetime, work)
        denied, lifetime, why = check_no_ds(message, name, above.zone, now, work)
        match denied:
            case Denied.UNPROVEN:
                return self._bogus(why)
            case Denied.DELEGATION | Denied.SKIPPED:
                return self._proved(Security.INSECURE, f"{name}: {denied.value}", lifetime)
            case _:
                return self._same(above, lifetime)

    async def _vouched(self, name: dns.name.Name, rrset: RRset, lifetime: float, work: Work) -> Standing:
        usable = known_digests(cast(DS, rdata) for rdata in rrset)
        if not usable:  # RFC 4035 §5.2: as if it were not signed
            return self._proved(Security.INSECURE, f"{name}: signed only by algorithms that we do not know", lifetime)
        return await self._with_keys(name, usable, work)

    async def _with_keys(self, name: dns.name.Name, vouched: tuple[DS, ...], work: Work) -> Standing:
        """
        Fetch a zone's keys, and check that one that is vouched for signed them all.
        """
        message = await self._answer(name, RdataType.DNSKEY)
        if message is None:
            return self._silent(f"{name}: no answer for DNSKEY")
        rrset = records_at(message, name, RdataType.DNSKEY)
        if rrset is None:
            who = "the trust anchor" if name in self._anchors else "the zone above"
            hint = " (do the servers pass DNSSEC records on?)" if name in self._anchors else ""
            return self._bogus(f"{name}: {who} says that it is signed, and it has no DNSKEY{hint}")
        keys = usable_keys(rrset)
        trusted = vouched_keys(name, vouched, keys, work)
        if not trusted:
            return self._bogus(f"{name}: no DNSKEY is one that the zone above vouches for")
        now = self._clock.seconds()
        signature = verify(rrset, signatures_of(message.answer, rrset), name, trusted, now, work)
        if isinstance(signature, str):
            return self._bogus(f"{name} DNSKEY: {signature}")
        lifetime = min(rrset.ttl, signature.original_ttl, signature.expiration - now)
        return self._proved(Security.SECURE, "", lifetime, Zone(name, keys))

    async def _answer(self, name: dns.name.Name, rdtype: RdataType) -> dns.message.Message | None:
        self.asked += 1
        message = await self._ask(name, rdtype)
        if message is None or message.rcode() not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
            return None
        return message

    def _proved(self, security: Security, why: str, lifetime: float, zone: Zone | None = None) -> Standing:
        until = self._clock.seconds() + min(max(lifetime, SHORTEST), LONGEST)
        return Standing(security, why, until, zone)

    def _same(self, above: Standing, lifetime: float) -> Standing:
        """
        The name lies in the zone above; the proof of it may end sooner than the zone's keys, or they before it.
        """
        until = self._clock.seconds() + max(lifetime, SHORTEST)
        return attrs.evolve(above, until=min(above.until, until))

    def _bogus(self, why: str) -> Standing:
        return Standing(Security.BOGUS, why, self._clock.seconds() + BOGUS)

    def _silent(self, why: str) -> Standing:
        return Standing(Security.BOGUS, why, self._clock.seconds() + SILENCE, silent=True)
