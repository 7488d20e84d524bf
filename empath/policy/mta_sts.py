"""
MTA-STS policies (RFC 8461): how they are written, and which MX hosts they allow.

A record (§3.1) has to be as its grammar says, else there is no policy. Of a policy's text (§3.2) what has to be right
is what we use: version, mode, max_age and mx. All other lines, empty ones as well, are passed over.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Final

import attrs

from empath.mail.address import parse_domain

LARGEST: Final = 64_000  # octets of a policy: the 64 kilobytes of §3.3
LONGEST_AGE: Final = 31_557_600  # seconds: the most that `max_age` may be (§3.2)

FETCH_ERROR: Final = "sts-policy-fetch-error"  # the result types of RFC 8460 §4.3.2.2
INVALID: Final = "sts-policy-invalid"
WEBPKI_INVALID: Final = "sts-webpki-invalid"

_BLANKS: Final = " \t"
_FIELD: Final = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,31}=[!-:<>-~]++"
_RECORD: Final = re.compile(rf"v=STSv1(?:[ \t]*+;[ \t]*+{_FIELD})++(?:[ \t]*+;)?[ \t]*+")
_OF_STS: Final = re.compile(r"v=STSv1[ \t]*+;")
_ID: Final = re.compile(r"[A-Za-z0-9]{1,32}")
_AGE: Final = re.compile(r"[0-9]{1,10}")
_TOLD: Final = 60  # characters of what is wrong that are repeated in a reason


class Mode(Enum):
    """
    What a host that falls short of the policy means (RFC 8461 §5).
    """

    ENFORCE = "enforce"  # no mail for it
    TESTING = "testing"  # mail all the same, and a report
    NONE = "none"  # no policy any more


_MODES: Final = frozenset(mode.value for mode in Mode)


@attrs.frozen(slots=True)
class StsPolicy:
    """
    A domain's policy: `mx` are patterns such as "mx.example.org" or "*.example.net" in lower case, `max_age` is in
    seconds, `version` the id of the TXT record that it was fetched for, `lines` the text as it was read.
    """

    mode: Mode
    mx: tuple[str, ...]
    max_age: int
    version: str = ""
    lines: tuple[str, ...] = ()

    def allows(self, host: str) -> bool:
        """
        Tell whether an MX host is one of the policy's: equal to a pattern, or one label below a "*." (§4.1).
        """
        return host in self.mx or f"*.{host.partition('.')[2]}" in self.mx


@attrs.frozen(slots=True)
class Unusable:
    """
    No policy could be had: `result` is the word for it of RFC 8460 §4.3.2.2, `reason` says it to people.
    """

    result: str
    reason: str


def record_version(texts: Iterable[str]) -> str:
    """
    Read the TXT records at _mta-sts: the id of the one record of MTA-STS, "" unless there is just one, and it is as
    the grammar says (§3.1). Of several ids the first counts, as with the fields of a policy.
    """
    found = [text for text in texts if _OF_STS.match(text) is not None]
    if len(found) != 1 or _RECORD.fullmatch(found[0]) is None:
        return ""
    for field in found[0].split(";"):
        name, _, value = field.strip(_BLANKS).partition("=")
        if name == "id":
            return value if _ID.fullmatch(value) is not None else ""
    return ""


def read_policy(text: str, version: str) -> StsPolicy | Unusable:
    """
    Read the text of a policy that was fetched for the record with the id `version`.

    Of a field that comes again the first counts (§3.2). A policy of mode "none" needs no mx, and right or wrong they
    do not matter there.
    """
    lines = tuple(line for line in (each.rstrip(" \t\r") for each in text.split("\n")) if line)
    pairs = [(name, value.lstrip(_BLANKS)) for name, _, value in (line.partition(":") for line in lines)]
    fields = dict(reversed(pairs))
    wrong = _wrong(fields)
    if wrong:
        return Unusable(INVALID, wrong)
    mode, age = Mode(fields["mode"]), int(fields["max_age"])
    if mode is Mode.NONE:
        return StsPolicy(mode, (), age, version, lines)
    mx: dict[str, None] = {}
    for pattern in (value for name, value in pairs if name == "mx"):
        read = _pattern(pattern)
        if not read:
            return Unusable(INVALID, f"an mx is no host: {_told(pattern)}")
        mx[read] = None
    return StsPolicy(mode, tuple(mx), age, version, lines) if mx else Unusable(INVALID, "there is no mx")


def write_policy(policy: StsPolicy, fetched: float) -> str:
    """
    Write a policy down, with the time at which it was fetched, for `restore_policy`: no more than a line longer than
    its text was.
    """
    return "\n".join((f"{fetched:.0f} {policy.version}", *policy.lines))


def restore_policy(text: str) -> tuple[StsPolicy, float] | None:
    """
    Read what `write_policy` wrote; None if it was not.
    """
    first, _, rest = text.partition("\n")
    fetched, _, version = first.partition(" ")
    if _AGE.fullmatch(fetched) is None or _ID.fullmatch(version) is None:
        return None
    policy = read_policy(rest, version)
    return (policy, float(fetched)) if isinstance(policy, StsPolicy) else None


def _wrong(fields: Mapping[str, str]) -> str:
    """
    Tell what is wrong with a policy's fields other than mx, "" for nothing.
    """
    for name in ("version", "mode", "max_age"):
        if name not in fields:
            return f"there is no {name}"
    if fields["version"] != "STSv1":
        return f"the version is not STSv1: {_told(fields['version'])}"
    if fields["mode"] not in _MODES:
        return f"no mode: {_told(fields['mode'])}"
    age = fields["max_age"]
    if _AGE.fullmatch(age) is None or int(age) > LONGEST_AGE:
        return f"max_age is no number up to {LONGEST_AGE}: {_told(age)}"
    return ""


def _pattern(text: str) -> str:
    """
    Read the value of mx, ["*."] Domain (§3.2); "" if it is none.
    """
    wildcard = "*." if text.startswith("*.") else ""
    try:
        name = parse_domain(text.removeprefix(wildcard))
    except ValueError:
        return ""
    return "" if name.startswith("[") else wildcard + name


def _told(text: str) -> str:
    return ascii(text[:_TOLD])
