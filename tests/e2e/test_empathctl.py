"""
Every verb of empathctl against a real MTA with mail in every state, in text and JSON, as docs/empathctl/ keeps it.
"""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Final

import jsonschema

from empath.ctl.registry import ALONE, GROUPS
from tests.e2e.every_state import EveryStateCase
from tests.e2e.recorded import ROOT, Session
from tests.e2e.verbs_recorded import ELSEWHERE, SESSIONS

SCHEMA: Final = json.loads((ROOT / "docs" / "control.schema.json").read_text())


class RecordedTests(EveryStateCase):
    """
    What empathctl prints.
    """

    def test_every_verb(self) -> None:
        """
        Each does what it did when it was recorded, in text and JSON.
        """
        empath = self.everything()
        self.client()
        (empath.folder / "new.toml").write_text(empath.file.read_text().replace('"mx.empath.test"', '"mx.new.test"'))
        (empath.folder / "broken.toml").write_text('hostname = 7\n[smtp]\nbaner = "x"\n')
        session_id = self.ctl("smtp", "connections")["sessions"][0]["session"]
        names = {**self.ids, "session": session_id, "socket": str(empath.control_socket)}
        differences = []
        for name, lines in SESSIONS.items():
            session = self.session(empath.folder, name)
            for line in lines:
                told = session.run(line.format(**names), shlex.split(line.format(**names))[1:])
                self.hold_to_schema(line, told)
            differences.append(session.difference())
        if any(differences):
            self.fail("".join(differences))

    def hold_to_schema(self, line: str, told: str) -> None:
        """
        Check that a JSON answer is of the class that docs/control.schema.json has for the verb.
        """
        words = shlex.split(line)[1:]
        verb = ".".join(words[:2] if words[0] in GROUPS else words[:1])
        if "--json" not in words or not told or verb not in SCHEMA["verbs"]:
            return
        answer = SCHEMA["verbs"][verb]["answer"]
        whole = {"$schema": SCHEMA["$schema"], "$defs": SCHEMA["$defs"], **answer}
        checker = jsonschema.Draft202012Validator(whole, format_checker=jsonschema.FormatChecker())
        wrong = [f"{error.json_path}: {error.message}" for error in checker.iter_errors(json.loads(told))]
        self.assertEqual(wrong, [], line)

    def session(self, folder: Path, name: str) -> Session:
        """
        Begin a session in the folder of the MTA, whose configuration says where the socket is.
        """
        return Session(name, folder, {}, {str(folder): "/etc/empath"})

    def test_no_verb_is_left_out(self) -> None:
        """
        Each is in a session, in text and as JSON.
        """
        lines = [line for each in SESSIONS.values() for line in each]
        for group, (_, verbs) in GROUPS.items():
            for verb in verbs:
                if f"{group} {verb}" in ELSEWHERE:
                    continue
                fitting = [line for line in lines if line.startswith(f"empathctl {group} {verb}")]
                self.assertTrue([line for line in fitting if "--json" in line], f"{group} {verb} as JSON")
                self.assertTrue([line for line in fitting if "--json" not in line], f"{group} {verb} in text")
        for verb in ALONE:
            self.assertTrue([line for line in lines if line.startswith(f"empathctl {verb}")], verb)
