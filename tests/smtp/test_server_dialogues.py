"""
The golden dialogues of `tests/rfc/server_*.txt`.

"C:" lines are sent with CRLF, all that follow one another in one packet; "C!" gives bytes with Python's escapes and no
line end of its own. "S:" lines are the exact replies. "M:" lines are the content of the message accepted last. "X:" is
why the session ended, "T:" says that the handshake of TLS is done. "! name=value" changes the rules, or how the
session stands: `standing`, `mechanisms`, `cleartext`, `normalize`, `latest_release`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from empath.smtp.extension import Standing
from tests.smtp.server_peer import Peer, rules

DIALOGUES = Path(__file__).parent.parent / "rfc"


def _listed(value: str) -> object:
    return int(value) if value.isdigit() else tuple(value.split(","))


def _standing(value: str) -> Standing:
    words = value.split(",")
    return Standing(secure="secure" in words, xclient="xclient" in words)


OPTIONS: dict[str, Callable[[str], object]] = {
    "kind": str,
    "latest_release": str,
    "standing": _standing,
    "starttls": bool,
    "auth": bool,
    "cleartext": bool,
    "normalize": bool,
}
PEER = {"standing", "mechanisms", "cleartext", "normalize", "latest_release"}


class Dialogue:
    """
    One file, read.
    """

    def __init__(self, text: str) -> None:
        self.options: dict[str, object] = {}
        self.steps: list[tuple[str, bytes]] = []
        for line in text.splitlines():
            if line and not line.startswith("#"):
                self._read(line[0], line[1:2], line.partition(" ")[2])

    def _read(self, kind: str, mark: str, text: str) -> None:
        if kind == "!":
            name, _, value = text.strip().partition("=")
            self.options[name] = OPTIONS.get(name, _listed)(value)
            return
        data = text.encode() + b"\r\n"
        if mark == "!":
            data = text.encode().decode("unicode_escape").encode("latin-1")
        if self.steps and self.steps[-1][0] == kind:
            data = self.steps.pop()[1] + data
        self.steps.append((kind, data))

    def peer(self) -> Peer:
        """
        Make a peer with the options of the dialogue.
        """
        of_peer = {name: self.options.pop(name) for name in PEER & self.options.keys()}
        return Peer(rules(**self.options), **of_peer)  # type: ignore[arg-type]  # checked in the product


class DialogueTests(SynchronousTestCase):
    """
    A session says what the dialogue says.
    """

    def play(self, path: Path) -> None:
        """
        Play one dialogue.
        """
        dialogue = Dialogue(path.read_text())
        peer = dialogue.peer()
        heard = peer.session.output()
        for kind, data in dialogue.steps:
            if kind == "C":
                self.assertEqual(heard, b"", path.name)
                heard = peer.send(data)
            elif kind == "S":
                self.assertEqual(heard.decode(), data.decode(), path.name)
                heard = b""
            elif kind == "T":
                peer.session.secured()
            elif kind == "M":
                self.assertEqual(peer.messages[-1], data, path.name)
            else:
                self.assertEqual((peer.ending + "\r\n").encode(), data, path.name)
        self.assertEqual(heard, b"", path.name)


def _test(path: Path) -> object:
    def test(self: DialogueTests) -> None:
        self.play(path)

    test.__name__ = f"test_{path.stem}"
    test.__doc__ = path.read_text().partition("\n")[0].lstrip("# ")
    return test


_FILES = sorted(DIALOGUES.glob("server_*.txt"))
for _path in _FILES:
    setattr(DialogueTests, f"test_{_path.stem}", _test(_path))


class CollectionTests(SynchronousTestCase):
    """
    The dialogues are where they are looked for.
    """

    def test_there_are_dialogues(self) -> None:
        """
        A moved folder does not pass for success.
        """
        self.assertGreater(len(_FILES), 10)
