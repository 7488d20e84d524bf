"""
Requirements on the house: what the README, tox and .ci/run say is what is there.
"""

from __future__ import annotations

import configparser
from pathlib import Path
from typing import Final

from twisted.trial.unittest import SynchronousTestCase

from tests.config.fakes import machine, read

ROOT: Final = Path(__file__).parents[1]
LONG: Final = frozenset({"e2e", "proofs"})  # what `tox -e py311` leaves out


class HouseTests(SynchronousTestCase):
    """
    The words around the code.
    """

    def test_the_readmes_configurations_can_be_used(self) -> None:
        """
        Each TOML block is a whole file, in a folder with the files that it names.
        """
        folder = Path(self.mktemp()).absolute()
        folder.mkdir()
        for name in ("users", "fullchain.pem", "key.pem"):
            (folder / name).touch()
        blocks = [text.partition("```")[0] for text in (ROOT / "README.md").read_text().split("```toml\n")[1:]]
        self.assertEqual(len(blocks), 3)
        for block in blocks:
            read(block, machine(str(folder), SMARTHOST_PASSWORD="secret"))

    def test_the_readme_has_one_line_each_to_run_and_to_test(self) -> None:
        """
        .ci/run takes the test command from there.
        """
        commands = [
            line for line in (ROOT / "README.md").read_text().splitlines() if line.startswith("$ python3 -m venv")
        ]
        self.assertEqual(
            [line.rpartition("/")[2] for line in commands], ["twistd -n empath", "python -m pytest -q -rs"]
        )

    def test_every_package_of_unit_tests_runs_under_trial_too(self) -> None:
        """
        trial cannot leave a package out, so tox.ini names those to run.
        """
        tox = configparser.RawConfigParser()
        tox.read(ROOT / "tox.ini")
        packages = {f"tests.{path.parent.name}" for path in (ROOT / "tests").glob("*/__init__.py")}
        packages -= {f"tests.{name}" for name in LONG}
        packages |= {f"tests.{path.stem}" for path in (ROOT / "tests").glob("test_*.py")}
        self.assertEqual(sorted(tox["unit"]["modules"].split()), sorted(packages))
