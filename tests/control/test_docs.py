"""
Requirements on docs/control.md: its programs run, its bounds are those of the code.
"""

from __future__ import annotations

import ast
import importlib
from pathlib import Path
from typing import Final

from twisted.trial.unittest import SynchronousTestCase

from empath.control import boxes, connection, protocol, server
from empath.control.protocol import Code
from tests.config.fakes import machine, read

PAGE: Final = Path(__file__).parents[2] / "docs" / "control.md"


class PageTests(SynchronousTestCase):
    """
    The page as it is.
    """

    def setUp(self) -> None:
        self.text = PAGE.read_text()

    def blocks(self, language: str) -> list[str]:
        return [text.partition("```")[0] for text in self.text.split(f"```{language}\n")[1:]]

    def test_what_its_programs_import_is_there(self) -> None:
        """
        And each of them compiles.
        """
        programs = self.blocks("python")
        self.assertEqual(len(programs), 4)
        for program in programs:
            for node in ast.walk(ast.parse(program)):
                if isinstance(node, ast.ImportFrom) and node.module is not None:
                    found = importlib.import_module(node.module)
                    for alias in node.names:
                        self.assertTrue(hasattr(found, alias.name), alias.name)

    def test_its_configuration_can_be_used(self) -> None:
        """
        As a whole file.
        """
        [block] = self.blocks("toml")
        [token] = read('hostname = "mx.example.org"\n' + block, machine(".")).control.tokens
        self.assertEqual(token.name, "ops")

    def test_its_bounds_are_those_of_the_code(self) -> None:
        """
        Each as it is written.
        """
        for told in (
            f"| a request | {protocol.MAX_REQUEST:,} octets |",
            f"| an answer | {protocol.MAX_RESPONSE:,} octets |",
            f"| a piece | {protocol.MAX_PIECE:,} octets |",
            f"| keys of a box | {boxes.MAX_KEYS:,} |",
            f"{protocol.SERVER_TIMEOUT:.0f} s at the server, {protocol.CLIENT_TIMEOUT:.0f} s of silence",
            f"closed after {protocol.IDLE_TIMEOUT / 60:.0f} minutes",
            f"| {connection.MAX_REQUESTS}; more get `BUSY` |",
            f"| {server.MAX_CONNECTIONS}; the next ones",
            f"whenever {protocol.ALIVE_INTERVAL:.0f} seconds",
            *(f"`{code.value.decode()}`" for code in Code),
        ):
            self.assertIn(told, self.text)
