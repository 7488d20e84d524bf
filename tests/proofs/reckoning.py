"""
Accounts for every recipient of every message that was answered 250: arrived, or its sender was told.
"""

from __future__ import annotations

from collections import Counter
from email import message_from_bytes
from email.message import Message as Parsed
from typing import cast

from tests.e2e.storing_session import Stored
from tests.proofs.failing import FailingServer
from tests.proofs.mixed_load import MixedLoad, Sent


class Reckoning:
    """
    What the clients were promised against what the peers got; made when everything has come to rest.
    """

    def __init__(self, loads: list[MixedLoad], servers: list[FailingServer], reports: FailingServer) -> None:
        self._servers = [*servers, reports]
        self.troubles = sum((load.troubles for load in loads), Counter[str]())
        self.promised = by_recipient([sent for load in loads for sent in load.accepted])
        self.tried = by_recipient([sent for load in loads for sent in load.tried])
        self.messages = sum(len(load.accepted) for load in loads)
        self.bytes = sum(sent.size for load in loads for sent in load.accepted)
        self.stored = [each for server in servers for each in server.stored]
        self.arrived = Counter(recipient for each in self.stored for recipient in each.recipients)
        self.refused = set[str]().union(*(server.weather.refused for server in servers))
        self.doubtful = sum((+server.doubtful for server in self._servers), Counter[str]())
        self.reports = list(reports.stored)
        self.bounced = Counter(recipient for report in self.reports for recipient in named_in(report))

    def lost(self) -> set[str]:
        """
        Tell whom nobody heard of again.
        """
        return self.promised.keys() - self.arrived.keys() - self.bounced.keys()

    def duplicates(self) -> Counter[str]:
        """
        Tell who got the same message how many times too often.
        """
        return +Counter({recipient: times - 1 for recipient, times in self.arrived.items()})

    def faults(self) -> list[str]:
        """
        List everything that does not add up.
        """
        found = [f"lost: {each}" for each in sorted(self.lost())]
        found += [f"came from nowhere: {each}" for each in self.arrived if each not in self.tried]
        found += [f"twice without a cause: {each}" for each in self.duplicates() - self.doubtful]
        found += [f"changed: {r}" for each in self.stored for r in each.recipients if self._changed(each, r)]
        found += [f"bounced, but never refused: {each}" for each in self.bounced.keys() - self.refused]
        both = self.bounced.keys() & self.arrived.keys()
        found += [f"arrived, and bounced without a cause: {each}" for each in both if not self.doubtful[each]]
        for recipient, times in self.bounced.items():
            sender = self.tried[recipient].sender
            if times - 1 > self.doubtful[sender]:
                found.append(f"bounced {times} times: {recipient}")
        for report in self.reports:
            senders = {self.tried[recipient].sender for recipient in named_in(report)}
            if senders != set(report.recipients) or report.sender:
                found.append(f"a report of {senders} from <{report.sender}> went to {report.recipients}")
        return found

    def lines(self) -> list[str]:
        """
        Say it in figures.
        """
        twice = self.duplicates()
        excused = twice - (twice - self.doubtful)
        late = self.arrived.keys() - self.promised.keys()
        weather = sum((server.weather.deviations for server in self._servers), Counter[str]())
        told_of = self.promised.keys() & self.bounced.keys()
        told = ", ".join(f"{name} {count}" for name, count in sorted(weather.items()))
        troubles = ", ".join(f"{count} × {text}" for text, count in self.troubles.most_common()) or "none"
        return [
            f"answered 250: {self.messages} messages, {self.bytes / 1e6:.0f} MB, {len(self.promised)} recipients",
            f"arrived: {len(self.promised.keys() & self.arrived.keys())}; bounced: "
            f"{len(told_of)} in {len(self.reports)} reports; lost: {len(self.lost())}",
            f"duplicates: {twice.total()}, of them after an answer that the peer did not send: {excused.total()} "
            f"(such answers: {self.doubtful.total()})",
            f"arrived though their 250 was lost: {len(late)}; what clients met otherwise: {troubles}",
            f"the peers' trouble: {told}",
        ]

    def _changed(self, stored: Stored, recipient: str) -> bool:
        sent = self.tried.get(recipient)
        return sent is not None and (stored.digest != sent.digest or stored.sender != sent.sender)


def by_recipient(messages: list[Sent]) -> dict[str, Sent]:
    """
    Find the message of each recipient; no two have the same.
    """
    return {recipient: sent for sent in messages for recipient in sent.recipients}


def named_in(report: Stored) -> list[str]:
    """
    Read the failed recipients out of a report (RFC 3464).
    """
    parsed = message_from_bytes(report.content or b"")
    status = cast("list[Parsed]", cast("list[Parsed]", parsed.get_payload())[1].get_payload())
    return [str(group["Final-Recipient"]).partition("; ")[2] for group in status if "Final-Recipient" in group]
