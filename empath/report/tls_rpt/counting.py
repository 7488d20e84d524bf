"""
What is counted of the sessions with one domain's hosts in one day, and how it is kept and told (RFC 8460 §4.4).
"""

from __future__ import annotations

import json
from typing import Any, Final, cast

import attrs

from empath.mail.life import TlsTried

MOST_OCTETS: Final = 40_000  # that policies and failures of one domain take in a day; what has no place is not told
LONGEST_POLICY: Final = 10_000  # octets of its lines; the rest of them is left out
LONGEST_REASON: Final = 200  # characters
_ENTRY: Final = 250  # octets that a policy or a failure takes beside its texts

_PolicyKey = tuple[str, tuple[str, ...], tuple[str, ...]]
_FailureKey = tuple[str, str, str, str, str]


@attrs.define(slots=True, eq=False)
class Tally:
    """
    The sessions under one policy: how many succeeded and failed, and how often each failure came.
    """

    succeeded: int = 0
    failed: int = 0
    failures: dict[_FailureKey, int] = attrs.field(factory=dict)


class DomainDay:
    """
    One domain in one day. `size` is about what it takes of memory and storage, in octets.
    """

    __slots__ = ("_tallies", "size")

    def __init__(self) -> None:
        self._tallies: dict[_PolicyKey, Tally] = {}
        self.size = 0

    def count(self, tried: TlsTried) -> None:
        """
        Count one session. Where there is no place for another policy it is not counted at all, where there is none for
        another failure its number alone is.
        """
        tally = self._tally((tried.policy, tried.policy_string, tried.mx_patterns))
        if tally is None:
            return
        if not tried.result:
            tally.succeeded += 1
            return
        tally.failed += 1
        key = (tried.result, tried.source, tried.host, tried.address, tried.reason[:LONGEST_REASON])
        known = tally.failures.get(key)
        if known is not None:
            tally.failures[key] = known + 1
        elif self._has_room(key):
            tally.failures[key] = 1

    def policies(self, domain: str) -> list[dict[str, Any]]:
        """
        Give the report's policies, ready for JSON.
        """
        return [_policy(domain, key, tally) for key, tally in self._tallies.items()]

    def dump(self) -> list[Any]:
        """
        Write it down, ready for JSON.
        """
        return [
            [*key, tally.succeeded, tally.failed, [[*failure, times] for failure, times in tally.failures.items()]]
            for key, tally in self._tallies.items()
        ]

    @classmethod
    def restore(cls, written: object) -> DomainDay:
        """
        Read what `dump` wrote; ValueError if it did not.
        """
        day = cls()
        try:
            for kind, lines, patterns, succeeded, failed, failures in cast("list[Any]", written):
                tally = Tally(int(succeeded), int(failed))
                day._tallies[str(kind), tuple(map(str, lines)), tuple(map(str, patterns))] = tally
                for result, source, host, address, reason, times in failures:
                    tally.failures[str(result), str(source), str(host), str(address), str(reason)] = int(times)
        except (TypeError, ValueError) as error:
            raise ValueError(f"no counts of a day: {error}") from error
        day.size = len(json.dumps(written))
        return day

    def _tally(self, key: _PolicyKey) -> Tally | None:
        tally = self._tallies.get(key)
        if tally is None:
            kind, lines, patterns = key
            shortened = (kind, _shortened(lines), _shortened(patterns))
            tally = self._tallies.get(shortened)
            if tally is None and self._has_room((kind, *shortened[1], *shortened[2])):
                tally = self._tallies[shortened] = Tally()
        return tally

    def _has_room(self, texts: tuple[str, ...]) -> bool:
        """
        Take the place that a new entry with these texts needs, if there is that much.
        """
        size = self.size + _ENTRY + sum(len(json.dumps(text)) + 2 for text in texts)
        if size > MOST_OCTETS:
            return False
        self.size = size
        return True


def _shortened(lines: tuple[str, ...]) -> tuple[str, ...]:
    """
    Leave out the lines that are too much.
    """
    kept: list[str] = []
    room = LONGEST_POLICY
    for line in lines:
        room -= len(json.dumps(line))
        if room < 0:
            break
        kept.append(line)
    return tuple(kept)


def _policy(domain: str, key: _PolicyKey, tally: Tally) -> dict[str, Any]:
    kind, lines, patterns = key
    policy: dict[str, Any] = {"policy-type": kind, "policy-domain": domain}
    if lines:
        policy["policy-string"] = list(lines)
    if patterns:
        policy["mx-host"] = list(patterns)
    told: dict[str, Any] = {
        "policy": policy,
        "summary": {
            "total-successful-session-count": tally.succeeded,
            "total-failure-session-count": tally.failed,
        },
    }
    if tally.failures:
        told["failure-details"] = [_failure(failure, times) for failure, times in tally.failures.items()]
    return told


def _failure(key: _FailureKey, times: int) -> dict[str, Any]:
    """
    Give the details of a failure; what is not known is left out.
    """
    result, source, host, address, reason = key
    named = {
        "sending-mta-ip": source,
        "receiving-mx-hostname": host,
        "receiving-ip": address,
        "failure-reason-code": reason,
    }
    known = {name: value for name, value in named.items() if value}
    return {"result-type": result, **known, "failed-session-count": times}
