"""
MTA-STS: whatever stands in the DNS or is served as a policy gives an id or none, a policy or a reason against it; what
is a policy allows only hosts that it names, and is the same after it was stored.
"""

from __future__ import annotations

from typing import Final

from empath.mail.address import parse_domain
from empath.policy.mta_sts import (
    INVALID,
    LONGEST_AGE,
    Mode,
    StsPolicy,
    Unusable,
    read_policy,
    record_version,
    restore_policy,
    write_policy,
)

TOKENS: Final = (
    b"v=STSv1",
    b"v=STSv1; id=1;",
    b"; ",
    b"id=20160831085700Z",
    b"a.b-c_d=x",
    b"version: STSv1\n",
    b"mode: enforce\n",
    b"mode: testing\n",
    b"mode: none\n",
    b"max_age: 604800\n",
    b"max_age: 31557601\n",
    b"mx: mx.example.org\n",
    b"mx: *.example.net\n",
    b"mx: *.\n",
    b"mx: [192.0.2.1]\n",
    b"mx:",
    b"*.",
    b"[IPv6:::1]",
    b":",
    b"=",
    b" ",
    b"\t",
    b"\r\n",
    b"\n\n",
    b"\x85",
    "\u2028ü".encode(),
    b"\x00",
)


def one_input(data: bytes) -> None:
    """
    Read one input as a record, as two, as a policy, and as what was stored of one.
    """
    text = data.decode("utf-8", "replace")
    version = record_version([text])
    assert version == "" or (version.isascii() and version.isalnum() and len(version) <= 32), version
    assert record_version([text, "v=spf1 -all"]) == version
    assert version == "" or record_version([text, text]) == ""
    policy = read_policy(text, version or "1")
    if isinstance(policy, StsPolicy):
        judge(policy, text)
    else:
        assert isinstance(policy, Unusable) and policy.result == INVALID
        assert policy.reason.isascii() and policy.reason.isprintable() and len(policy.reason) < 1000, policy.reason
    stored = restore_policy(text)
    if stored is not None:
        assert restore_policy(write_policy(*stored)) == stored


def judge(policy: StsPolicy, text: str) -> None:
    """
    Hold a policy against what is promised.
    """
    assert 0 <= policy.max_age <= LONGEST_AGE
    assert (policy.mode is Mode.NONE) == (not policy.mx)
    for pattern in policy.mx:
        name = pattern.removeprefix("*.")
        assert parse_domain(name) == name and name.split("[")[0], pattern
        assert policy.allows(pattern.replace("*", "any", 1)), pattern
        assert (
            pattern == name
            or name in policy.mx
            or f"*.{name.partition('.')[2]}" in policy.mx
            or not policy.allows(name)
        )
    assert not policy.allows("") and not policy.allows("elsewhere.invalid.")
    assert "".join(policy.lines).count("\n") == 0
    written = write_policy(policy, 5.0)
    assert restore_policy(written) == (policy, 5.0)
    assert len(written.encode()) <= len(text.encode()) + len(f"5 {policy.version}\n")
