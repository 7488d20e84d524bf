"""
A milter of libmilter's own that does what a test tells it: `python3 scripted_milter.py SOCKET FOLDER`, with Debian's
python3-milter.

The file `script.json` in FOLDER has a list of calls for each hook, such as {"eom": [["addheader", "X-A", "b"]]}; a call
of one word in capitals, such as ["REJECT"], is what the hook returns. "flags" are those of the protocol that it wants
besides. What it hears goes to the file `heard`, a line of JSON each.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import Milter  # type: ignore[import-not-found]  # Debian's, beside the system's own Python

FOLDER = Path(sys.argv[2])
SYMBOLS = {
    Milter.M_CONNECT: "j {client_addr}",
    Milter.M_ENVFROM: "i {auth_type} {auth_authen} {mail_addr}",
    Milter.M_EOM: "i {msg_id}",
}


class Scripted(Milter.Base):  # type: ignore[misc]
    """
    One session.
    """

    def __init__(self) -> None:
        self.fields: list[tuple[str, str]] = []
        self.body_heard = b""

    def negotiate(self, opts: list[int]) -> Any:
        answer = super().negotiate(opts)
        opts[1] |= script().get("flags", 0)
        for stage, names in SYMBOLS.items():
            self._ctx.setsymlist(stage, names)  # its own of 1.0.5 gives bytes, and fails
        return answer

    def connect(self, hostname: str, family: int, address: Any) -> Any:
        return self.act("connect", hostname, family, address, self.getsymval("j"), self.getsymval("{client_addr}"))

    def hello(self, name: str) -> Any:
        return self.act("hello", name)

    def envfrom(self, sender: str, *parameters: str) -> Any:
        self.fields, self.body_heard = [], b""
        known = [self.getsymval(name) for name in ("i", "{auth_type}", "{auth_authen}", "{mail_addr}")]
        return self.act("envfrom", sender, parameters, known)

    def envrcpt(self, recipient: str, *parameters: str) -> Any:
        return self.act("envrcpt", recipient, parameters)

    def data(self) -> Any:
        return self.act("data")

    def header(self, name: str, value: str) -> Any:
        self.fields.append((name, value))
        return self.act("header", name, value)

    def eoh(self) -> Any:
        return self.act("eoh")

    def body(self, piece: bytes) -> Any:
        self.body_heard += piece
        return self.act("body", len(piece))

    def eom(self) -> Any:
        return self.act("eom", self.getsymval("{msg_id}"), len(self.body_heard))

    def abort(self) -> Any:
        return self.act("abort")

    def close(self) -> Any:
        return self.act("close")

    def act(self, hook: str, *heard: object) -> Any:
        """
        Write down what was heard, and do what the script says.
        """
        line = json.dumps([hook, *heard], default=str) + "\n"
        with (FOLDER / "heard").open("a") as file:
            file.write(line)
        answer = Milter.CONTINUE
        for name, *arguments in script().get(hook, []):
            if name.isupper():
                answer = getattr(Milter, name)
            else:
                getattr(self, name)(*arguments)
        return answer

    def echo(self) -> None:
        """
        Change every field and the body to what they are.
        """
        counts: dict[str, int] = {}
        for name, value in self.fields:
            counts[name.lower()] = counts.get(name.lower(), 0) + 1
            if value:
                with contextlib.suppress(Milter.error):  # libmilter cannot say what is as long as it can hear
                    self.chgheader(name, counts[name.lower()], value)
        self.replacebody(self.body_heard)

    def remove_all(self, name: str) -> None:
        """
        Remove every field of a name, one by one, the last one first.
        """
        for number in range(sum(name == known for known, _ in self.fields), 0, -1):
            self.chgheader(name, number, "")

    def long_body(self, octets: int) -> None:
        """
        Replace the body by a long one.
        """
        self.replacebody((b"x" * 98 + b"\r\n") * (octets // 100))

    def wait(self, seconds: float) -> None:
        """
        Think.
        """
        time.sleep(seconds)

    def die(self) -> None:
        """
        Be gone at once.
        """
        os._exit(1)


def script() -> dict[str, Any]:
    """
    Read what is to be done.
    """
    found: dict[str, Any] = json.loads((FOLDER / "script.json").read_text())
    return found


def main() -> None:
    """
    Listen until the end.
    """
    Milter.factory = Scripted
    Milter.set_flags(
        Milter.ADDHDRS
        | Milter.CHGBODY
        | Milter.ADDRCPT
        | Milter.DELRCPT
        | Milter.CHGHDRS
        | Milter.QUARANTINE
        | Milter.CHGFROM
        | Milter.ADDRCPT_PAR
        | Milter.SETSYMLIST
    )
    Milter.runmilter("scripted", sys.argv[1], 60)


if __name__ == "__main__":
    main()
