"""
What a host must show before it gets a message: our operator's policy, the host's TLSA records (DANE, RFC 7672), the
destination's MTA-STS policy (RFC 8461) and the sender's wish (RFC 8689), in their order of precedence.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import attrs

from empath.mail.answer import Answer, Found, Security, TlsaRecord
from empath.mail.outcome import Failure, PermanentFailure, Scope, TransientFailure
from empath.mail.reply import Reply
from empath.mail.wish import Wish
from empath.policy import tls
from empath.policy.mta_sts import Mode, StsPolicy
from empath.policy.tls import CLEARTEXT, LOWERED, REQUIRED, Asker, Demand, Policy
from empath.policy.tlsa import spelled, usable

UNSECURED: Final = PermanentFailure(
    Reply(550, "5.7.30", ("the sender requires TLS, and nothing vouches for the names of the domain's hosts",)),
    Scope.HOST,
)
NOT_KNOWN_YET: Final = TransientFailure(
    Reply(451, "4.7.5", ("the sender requires TLS, and the domain's MTA-STS policy cannot be had now",)), Scope.HOST
)


@attrs.frozen(slots=True)
class Basis:
    """
    What was published about a host's TLS, in the words of RFC 8460 §4.4: the kind of policy, its lines, and the
    patterns of hosts in one of MTA-STS.
    """

    policy: str = "no-policy-found"
    lines: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()


@attrs.frozen(slots=True)
class Barred:
    """
    Why a host is not tried at all. `result` is the type of failure in reports, "" for none (RFC 8460 §4.3).
    """

    failure: Failure
    result: str = ""


@attrs.frozen(slots=True)
class Assurance:
    """
    What is asked of a host. `remark` is a failure for the report that has no other consequence (MTA-STS in testing
    mode, TLSA records of no use).
    """

    demand: Demand
    barred: Barred | None = None
    basis: Basis = Basis()
    remark: tuple[str, str] = ("", "")


@attrs.frozen(slots=True)
class Tlsa:
    """
    The secure TLSA records of a host, below `base`, its own name or the one that it is an alias of (RFC 7672 §2.2.3).
    """

    base: str
    records: tuple[TlsaRecord, ...]


@attrs.frozen(slots=True)
class Destination:
    """
    What is known of a destination before its hosts are looked at.

    `encrypted`: our operator wants TLS whatever the policy is; `lowered`: certificates that are not valid are accepted.
    `mx` is DNSSEC's word on how the hosts were found, None where the operator named them; `aliases` are secure names
    that the domain is an alias of. `unsure`: there may be an MTA-STS policy that could not be had. `collected`:
    failures without consequence are to be found, for reports.
    """

    domain: str
    local: Policy
    encrypted: bool = False
    lowered: bool = False
    wish: Wish = Wish.NONE
    mx: Security | None = None
    aliases: tuple[str, ...] = ()
    sts: StsPolicy | None = None
    unsure: bool = False
    collected: bool = False

    @property
    def asks_tlsa(self) -> bool:
        """
        Whether the TLSA records of hosts count: for who requires TLS, too, but not in place of a stricter local policy.
        """
        if self.wish is Wish.REQUIRE:
            return self.local is not Policy.VERIFIED or self.lowered
        return self.local is Policy.DANE and self.wish is not Wish.OPTIONAL


OPPORTUNISTIC: Final = Assurance(tls.OPPORTUNISTIC)

_USUAL: Final[Mapping[Policy, Assurance]] = {
    Policy.DISABLED: Assurance(CLEARTEXT),
    Policy.OPPORTUNISTIC: OPPORTUNISTIC,
    Policy.REQUIRED: Assurance(REQUIRED),
}


def usual(local: Policy) -> Assurance | None:
    """
    Give what is asked of every host under a policy of our own alone, None where that depends on the host.
    """
    return _USUAL.get(local)


def assurance(to: Destination, host: str, tlsa: Tlsa | Barred | None) -> Assurance:
    """
    Tell what is asked of one host. `tlsa` is None where it has no records that count.
    """
    sts = _sts(to)
    basis = _basis(tlsa, sts)
    barred = _barred(to, host, tlsa, sts)
    if barred is not None:
        return Assurance(Demand(Policy.DANE, (host,)), barred, basis)  # no certificate could meet it
    demand = _demand(to, host, tlsa if isinstance(tlsa, Tlsa) else None, sts)
    return Assurance(demand, None, basis, _remark(host, tlsa, demand, sts))


def tlsa_bases(host: str, answers: Iterable[Answer]) -> tuple[str, ...] | Barred | None:
    """
    Tell below which names to look for TLSA records, given the answers for the host's addresses (RFC 7672 §2.2.3); None
    if that depends on whether the host's own alias record is secure.

    Where the host lies in a zone that is not signed its TLSA records are not asked for: servers of such zones may not
    answer (§2.2.2).
    """
    found = [answer for answer in answers if answer.found is Found.RECORDS]
    if any(answer.security is Security.BOGUS for answer in found):
        return dnssec_trouble(host, "its addresses are signed, and the signatures do not hold")
    for answer in found:
        if answer.secure:
            return (answer.canonical, host) if answer.canonical else (host,)
    return None if any(answer.canonical for answer in found) else ()


def alias_bases(host: str, answer: Answer) -> tuple[str, ...] | Barred:
    """
    As `tlsa_bases`, given the answer about the host's own alias record. Whoever can keep it from us hides a demand.
    """
    return _withheld(host, answer) or ((host,) if answer.secure else ())


def read_tlsa(base: str, answer: Answer) -> Tlsa | Barred | None:
    """
    Read the answer to a TLSA question; None if there are no records that are secure. One that failed bars the host:
    whoever can keep the records from us could read the mail otherwise (RFC 7672 §2.1.3).
    """
    if answer.found is Found.RECORDS and answer.secure:
        return Tlsa(base, answer.tlsa)
    return _withheld(base, answer)


def _withheld(host: str, answer: Answer) -> Barred | None:
    if answer.found is not Found.FAILED and answer.security is not Security.BOGUS:
        return None
    why = answer.detail or "the signatures do not hold"
    return dnssec_trouble(host, f"look-up of {answer.name} {answer.rdtype} failed: {why}")


def dnssec_trouble(host: str, why: str) -> Barred:
    """
    Tell that the DNS cannot be believed, or not be asked, about a host's records.
    """
    said = [f"4.7.5 {host}: {why}"]
    return Barred(TransientFailure(Reply.heard(451, said), Scope.HOST), "dnssec-invalid")


def bounced(failure: Failure) -> PermanentFailure:
    """
    Tell of a host that falls short of what the sender requires (RFC 8689 §5).
    """
    said = [f"5.7.30 the sender requires TLS: {' '.join(failure.reply.lines)}"]
    return PermanentFailure(Reply.heard(550, said), Scope.HOST)


def _sts(to: Destination) -> StsPolicy | None:
    """
    Give the MTA-STS policy if it counts: not against our operator's "disabled", nor against TLS-Required: No.
    """
    sts = to.sts
    if sts is None or sts.mode is Mode.NONE or to.wish is Wish.OPTIONAL:
        return None
    return None if to.local is Policy.DISABLED and to.wish is not Wish.REQUIRE else sts


def _barred(to: Destination, host: str, tlsa: Tlsa | Barred | None, sts: StsPolicy | None) -> Barred | None:
    """
    Tell why the host is not to be tried.

    DANE outranks an MTA-STS policy that does not name the host; but where nothing vouches for the MX records, the
    host's TLSA records say nothing about the domain, and the policy does.
    """
    if to.mx is Security.BOGUS and (to.asks_tlsa or to.wish is Wish.REQUIRE):
        return dnssec_trouble(to.domain, "its MX records are signed, and the signatures do not hold")
    if isinstance(tlsa, Barred):
        return tlsa
    if to.wish is Wish.REQUIRE and not _named(to, host):
        return Barred(NOT_KNOWN_YET if to.unsure else UNSECURED)
    if sts is None or sts.mode is not Mode.ENFORCE or sts.allows(host):
        return None
    return None if _usable(tlsa) and to.mx is Security.SECURE else _unlisted(to.domain, host)


def _named(to: Destination, host: str) -> bool:
    """
    Tell whether somebody vouches that this is a host of the domain, as REQUIRETLS wants it (RFC 8689 §4.2.1): the
    operator, DNSSEC, an MTA-STS policy; a domain is always its own host.
    """
    if to.mx is None or to.mx is Security.SECURE or host == to.domain:
        return True
    return to.sts is not None and to.sts.mode is not Mode.NONE and to.sts.allows(host)


def _unlisted(domain: str, host: str) -> Barred:
    said = [f"4.7.5 the MTA-STS policy of {domain} does not name {host}"]
    return Barred(TransientFailure(Reply.heard(451, said), Scope.HOST), "validation-failure")


def _demand(to: Destination, host: str, tlsa: Tlsa | None, sts: StsPolicy | None) -> Demand:
    """
    Take the first that applies: DANE, what the sender requires, MTA-STS, our own policy; the last may ask for more.
    """
    required = to.wish is Wish.REQUIRE
    records = _usable(tlsa)
    if tlsa is not None and records:
        asker = Asker.REQUIRETLS if required else Asker.DANE
        names = dict.fromkeys((tlsa.base, host, to.domain, *to.aliases) if _known(to) else (tlsa.base, host))
        return Demand(Policy.DANE, tuple(names), records, asker, named=_named(to, host))
    if required:
        return Demand(Policy.VERIFIED, (host,), (), Asker.REQUIRETLS, named=True)
    if sts is not None and sts.mode is Mode.ENFORCE:
        return Demand(Policy.VERIFIED, (host,), (), Asker.MTA_STS, named=True)
    local = _local(to, host, encrypted=to.encrypted or tlsa is not None)
    if sts is not None and to.collected and not local.judged:
        return attrs.evolve(local, names=(host,))
    return local


def _known(to: Destination) -> bool:
    """
    Tell whether the domain's own name may stand in a certificate for its hosts: only where nobody could send us to
    hosts of their own (RFC 7672 §3.2.2).
    """
    return to.mx is Security.SECURE


def _local(to: Destination, host: str, *, encrypted: bool) -> Demand:
    """
    Tell what our operator demands. TLSA records that are there, but of no use, still mean TLS (RFC 7672 §2.2).
    """
    match to.local:
        case Policy.VERIFIED:
            return LOWERED if to.lowered else Demand(Policy.VERIFIED, (host,), named=_named(to, host))
        case Policy.DISABLED:
            return CLEARTEXT
        case Policy.REQUIRED:
            return REQUIRED
        case _:
            return REQUIRED if encrypted else tls.OPPORTUNISTIC


def _usable(tlsa: Tlsa | Barred | None) -> tuple[TlsaRecord, ...]:
    return usable(tlsa.records) if isinstance(tlsa, Tlsa) else ()


def _basis(tlsa: Tlsa | Barred | None, sts: StsPolicy | None) -> Basis:
    if isinstance(tlsa, Tlsa):
        return Basis("tlsa", tuple([spelled(record) for record in tlsa.records]))
    if isinstance(tlsa, Barred):
        return Basis("tlsa")
    return Basis() if sts is None else Basis("sts", sts.lines, sts.mx)


def _remark(host: str, tlsa: Tlsa | Barred | None, demand: Demand, sts: StsPolicy | None) -> tuple[str, str]:
    if isinstance(tlsa, Tlsa) and demand.policy is not Policy.DANE:
        return "tlsa-invalid", "no TLSA record can be used"
    if sts is not None and sts.mode is Mode.TESTING and demand.policy is not Policy.DANE and not sts.allows(host):
        return "validation-failure", f"the MTA-STS policy does not name {host}"
    return "", ""
