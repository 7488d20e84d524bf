"""
Answers of a running empath, as tests of what is shown of them want them.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Final

from rich.console import Console, RenderableType

from empath.control.terms.explaining import Explanation, HoldRow, HostRow, NextStep
from empath.control.terms.queue import (
    ArrivalRow,
    AttemptRow,
    DecisionRow,
    DeliveryView,
    MessageView,
    RecipientRow,
)
from empath.ctl.wording import Times

NOW: Final = datetime(2026, 11, 22, 3, 4, 5, tzinfo=UTC)
TIMES: Final = Times(NOW, UTC)
ARRIVAL: Final = ArrivalRow(
    "01KAM0000000000000000000S1",
    "192.0.2.5",
    52113,
    "tcp:587",
    "mail.example.org",
    "ESMTPSA",
    "TLSv1.3",
    "TLS_AES_256_GCM_SHA384",
    "alice",
)


def ago(**parts: float) -> datetime:
    """
    Give a time of the past.
    """
    return NOW - timedelta(**parts)


def ahead(**parts: float) -> datetime:
    """
    Give a time to come.
    """
    return NOW + timedelta(**parts)


def attempt(
    number: int, started: datetime, reply: str = "450 4.2.0 mailbox busy", host: str = "mx1.example.com"
) -> AttemptRow:
    """
    Give an attempt that was put off.
    """
    seconds = {"dns": 0.012, "connect": 0.03, "tls": 0.044, "transaction": 0.334}
    ended = started + timedelta(seconds=0.42)
    cipher = "TLS_AES_256_GCM_SHA384"
    address, tls, security = ("198.51.100.7", "TLSv1.3", "dane") if host else ("", "", "")
    return AttemptRow(
        number, started, ended, host, address, 25 if host else 0, tls, cipher if host else "", security,
        False, seconds if host else {"dns": 5.0}, "retry", reply,
    )  # fmt: skip


def waiting() -> DeliveryView:
    """
    Give a delivery that was attempted seven times, of which the second is forgotten.
    """
    busy = [attempt(number, ago(hours=9 - number)) for number in range(3, 7)]
    lost = attempt(7, ago(minutes=50), "connection lost after DATA", "mx2.example.com")
    return DeliveryView(
        "example.com",
        "retry",
        7,
        ahead(minutes=12),
        "450 4.2.0 mailbox busy",
        None,
        (
            RecipientRow("bob@example.com", "retry", "450 4.2.0 mailbox busy", "mx1.example.com", "mailbox"),
            RecipientRow("carol@example.com", "completed", "250 2.0.0 Ok: queued as 4711", "mx1.example.com"),
            RecipientRow("dan@example.com", "retry", "connection lost after DATA", "", "", True),
        ),
        (attempt(1, ago(hours=9), "server does not answer", ""), *busy, lost),
    )


def message(*deliveries: DeliveryView) -> MessageView:
    """
    Give a message with some deliveries.
    """
    return MessageView(
        "01KAM0000000000000000000M1",
        ago(hours=9),
        4000,
        0,
        "alice@example.org",
        {"BODY": "8BITMIME", "ENVID": "QQ314159"},
        ARRIVAL,
        {"service": "submission"},
        deliveries,
        (("From", "Alice <alice@example.org>"), ("Subject", "the invoice"), ("Message-ID", "<1@example.org>")),
        "Dear Bob,\n\nhere it is.\n",
    )


def step() -> NextStep:
    """
    Give the next step of `waiting`.
    """
    return NextStep(
        "example.com",
        "waiting",
        "all 3 connections to mx.example.com are in use; attempt 8 follows in 12m",
        HoldRow("connections", ahead(minutes=1), "3 of 3 connections to mx.example.com are in use"),
        ahead(minutes=12),
        ahead(days=4, hours=15),
        "mx1.example.com,mx2.example.com",
        "smtp",
        (
            HostRow("mx1.example.com", 25, 10, ("198.51.100.7", "2001:db8::7"), "verified", "dane"),
            HostRow("mx2.example.com", 25, 20, (), "opportunistic", "config", "SERVFAIL for its addresses"),
        ),
    )


def explanation() -> Explanation:
    """
    Give the whole story of a message that waits.
    """
    return Explanation(
        "01KAM0000000000000000000M1",
        message(waiting()),
        (
            DecisionRow("spf", "mail_from", "accept", "pass"),
            DecisionRow("greylist", "rcpt_to", "accept", "known for 3 days"),
        ),
        (step(),),
        "4bf92f3577b34da6a3ce929d0e0e4736",
    )


def shown(piece: RenderableType, width: int = 100) -> str:
    """
    Draw a piece as a terminal without colours does; trailing blanks are cut off.
    """
    console = Console(file=StringIO(), width=width, color_system=None, legacy_windows=False)
    console.print(piece)
    assert isinstance(console.file, StringIO)
    return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines())
