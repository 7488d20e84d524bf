"""
An LMTP server in memory.
"""

from __future__ import annotations

from twisted.internet.task import Clock

from tests.deliver.fakes import CLOSE, HANG, PIPELINING, Server, Transport


class LmtpServer(Server):
    """
    Answers the end of the content with one of `verdicts` for each recipient that it accepted, the usual one where there
    are no more. CLOSE and HANG end or stop it there, as anywhere.
    """

    def __init__(self, clock: Clock, verdicts: tuple[str, ...] = (), **answers: str | list[str]) -> None:
        super().__init__(clock, **{"LHLO": PIPELINING, "EHLO": "500 5.5.1 LHLO", **answers})
        self.verdicts = list(verdicts)
        self.accepted: dict[Transport, int] = {}

    def answer(self, transport: Transport, step: str) -> str:
        if step == "CONTENT":
            return self._judge(transport)
        if step == "DATA" and not self.accepted.get(transport):
            return self._say(transport, "503 5.5.1 no recipients")
        text = super().answer(transport, step)
        if step in ("MAIL", "RSET"):
            self.accepted[transport] = 0
        elif step == "RCPT" and text.startswith("2"):
            self.accepted[transport] += 1
        return text

    def _judge(self, transport: Transport) -> str:
        for _ in range(self.accepted[transport]):
            self.answers["CONTENT"] = [self.verdicts.pop(0) if self.verdicts else "250 2.0.0 kept"]
            if super().answer(transport, "CONTENT") in (HANG, CLOSE):
                break
        return "250"

    def _say(self, transport: Transport, text: str) -> str:
        self.clock.callLater(0, transport.deliver, f"{text}\r\n".encode())
        return text
