"""
Proof: installed from a wheel, and installed in place, `twistd --help` lists empath and empath takes mail.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.e2e.harness import EndToEndTestCase, smarthost

ROOT = Path(__file__).parents[2]
BOUND = 600


class InstallTests(EndToEndTestCase):
    """
    In a throw-away virtual environment; pip may fetch the dependencies.
    """

    def installed(self, *arguments: str) -> Path:
        """
        Make a virtual environment, install, and give its folder of programs.
        """
        place = self.folder / "venv"
        subprocess.run([sys.executable, "-m", "venv", str(place)], check=True, timeout=BOUND)
        pip = [str(place / "bin" / "python"), "-m", "pip", "-q", "--disable-pip-version-check", "install"]
        subprocess.run([*pip, *arguments], check=True, timeout=BOUND, cwd=self.folder)
        return place / "bin"

    def assert_works(self, programs: Path) -> None:
        """
        The plugin is found from a foreign folder, and a message goes through.
        """
        command = [str(programs / "twistd"), "--help"]
        shown = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60, cwd=self.folder)
        self.assertIn("\n    empath ", shown.stdout)
        peer = self.peer("127.0.0.11")
        empath = self.empath(smarthost(peer))
        program = empath.launch([str(programs / "twistd"), "-n", "empath", "--config", str(empath.file)])
        program.wait_for(empath.alive)
        self.send(empath, ["you@one.test"])
        self.wait_arrived(peer, "you@one.test")
        self.assertEqual(empath.stop(), 0)

    def test_a_wheel(self) -> None:
        self.assert_works(self.installed(str(ROOT)))

    def test_in_place(self) -> None:
        self.assert_works(self.installed("-e", str(ROOT)))
