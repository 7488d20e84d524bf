"""
The configuration file: any text gives a configuration or ConfigError, each of whose problems is one line.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from empath.config.load import parse_config
from empath.config.values import Surroundings
from empath.errors import ConfigError

KINDS: Final = frozenset({"tcp", "tcp6", "ssl", "unix", "systemd"})
TOKENS: Final = (
    b"[smtp]\n",
    b"[[smtp.listeners]]\n",
    b"[relay]\n",
    b"[spool]\n",
    b"[delivery]\n",
    b"[delivery.dns]\n",
    b'[delivery.domains."*"]\n',
    b'[delivery.domains."example.org"]\n',
    b"[metrics]\n",
    b'endpoint = "tcp:25"\n',
    b'networks = ["10.0.0.0/8"]\n',
    b'domains = ["example.org"]\n',
    b'recipients = "any"\n',
    b'mx_override = ["[::1]:25", "smtp.example.org"]\n',
    b'password = { env = "NAME" }\n',
    b'password = { file = "name" }\n',
    b'strategy = "maildir"\n',
    b'path = "x"\n',
    b'hostname = "mx.example.org"\n',
    b" = ",
    b"true",
    b"nan",
    b"-inf",
    b"1e400",
    b"0x7fffffffffffffffffff",
    b"9" * 300,
    b"2026-02-30",
    b"07:32:00",
    b'"5m"',
    b'"1e9d"',
    b'"\\uD800"',
    b"'''",
    b'"""',
    b"[" * 50,
    b"{a={" * 20,
    b"a.b.c.d",
    b"\xef\xbb\xbf",
    b"\x00",
    "\u2028".encode(),
)


def parse_endpoint(text: str) -> None:
    """
    Know some kinds of endpoints.
    """
    if text.partition(":")[0] not in KINDS:
        raise ValueError(f"Unknown endpoint type: {text.partition(':')[0]!r}")


AROUND: Final = Surroundings(Path("/nonexistent"), {"NAME": "secret"}, lambda: "mx.example.org", parse_endpoint)


def one_input(data: bytes) -> None:
    """
    Read one text, twice: the same text means the same.
    """
    text = data.decode("utf-8", "replace")
    try:
        config = parse_config(text, "empath.toml", AROUND)
    except ConfigError as trouble:
        assert trouble.problems, "refused without a word"
        for problem in trouble.problems:
            assert problem.startswith("empath.toml: ") and problem.isprintable(), f"no line: {problem!r}"
        return
    assert parse_config(text, "empath.toml", AROUND) == config
