"""
Requirements on the house: what the README, tox and .ci/run say is what is there.
"""

from __future__ import annotations

import configparser
from pathlib import Path
from typing import Any, Final

from twisted.trial.unittest import SynchronousTestCase

from empath.testing import Mta
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
        readme = (ROOT / "README.md").read_text()
        blocks = [text.partition("```")[0] for text in readme.split("```toml\n")[1:]]
        self.assertEqual(len(blocks), 4)
        for block in blocks:
            read(block, machine(str(folder), SMARTHOST_PASSWORD="secret"))

    def test_the_module_of_the_readme_refuses_on_mondays_only(self) -> None:
        """
        The Python block is a whole module.
        """
        text = (ROOT / "README.md").read_text().split("```python\n")[1].partition("```")[0]
        names: dict[str, Any] = {}
        exec(compile(text, "README.md", "exec"), names)
        mta = Mta([names["NoMondayMail"]], begins=1795392000.0)  # Monday, 23 November 2026
        self.addCleanup(mta.stop)
        self.assertIn("not on Mondays", str(mta.client("192.0.2.7").send("a@b.example", ["c@example.org"], b"x\r\n")))
        mta.advance(days=1)
        self.assertIn("queued as", str(mta.client("192.0.2.7").send("a@b.example", ["c@example.org"], b"x\r\n")))

    def test_the_readme_has_one_line_each_to_run_and_to_test(self) -> None:
        """
        .ci/run takes the test command from there.
        """
        commands = [
            line for line in (ROOT / "README.md").read_text().splitlines() if line.startswith("$ python3 -m venv")
        ]
        self.assertEqual(
            [line.rpartition("/")[2] for line in commands],
            ["twistd -n empath", "python -m pytest -q -rs -n 3 --dist loadscope"],
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
