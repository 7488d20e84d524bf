"""
The page as a document: complete in itself, and allowed nothing else.
"""

from __future__ import annotations

import base64
import re
from hashlib import sha256
from html.parser import HTMLParser

from twisted.trial.unittest import SynchronousTestCase

from empath.observe.status.pages import shell_pages
from empath.observe.status.shell import make_shell


class _Document(HTMLParser):
    """
    Collects elements and what is in them.
    """

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.inline: dict[str, list[str]] = {"script": [], "style": []}
        self._within = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attributes)))
        self._within = tag

    def handle_endtag(self, tag: str) -> None:
        self._within = ""

    def handle_data(self, data: str) -> None:
        if self._within in self.inline:
            self.inline[self._within].append(data)


class ShellTests(SynchronousTestCase):
    """
    What is sent for `/`.
    """

    def setUp(self) -> None:
        self.page = make_shell()
        self.text = self.page.body.decode()
        self.document = _Document(self.text)

    def test_the_policy_allows_this_script_and_this_style_alone(self) -> None:
        """
        Their hashes are those of what stands in the document.
        """
        policy = dict(part.strip().split(" ", 1) for part in self.page.headers["content-security-policy"].split(";"))
        for kind in ("script", "style"):
            [content] = self.document.inline[kind]
            digest = base64.b64encode(sha256(content.encode()).digest()).decode()
            self.assertEqual(policy[f"{kind}-src"], f"'sha256-{digest}'")
        self.assertEqual((policy["default-src"], policy["connect-src"]), ("'none'", "'self'"))
        for word in ("unsafe", "*", "http"):
            self.assertNotIn(word, self.page.headers["content-security-policy"])

    def test_nothing_is_loaded_from_elsewhere(self) -> None:
        """
        No element names an address, no style and no script does.
        """
        for tag, attributes in self.document.elements:
            for name in ("src", "srcset", "action", "style", "onclick", "onload"):
                self.assertNotIn(name, attributes, tag)
            self.assertIn(attributes.get("href", "data:,"), ("data:,",))
        self.assertEqual(re.findall(r"https?://[^\"]*", self.text), ["http://www.w3.org/2000/svg"])
        self.assertNotIn("url(", self.text)
        self.assertNotIn("@import", self.text)

    def test_strings_of_peers_are_text(self) -> None:
        """
        The script has no way to make markup of what it is told.
        """
        [script] = self.document.inline["script"]
        for word in ("innerHTML", "outerHTML", "insertAdjacent", "document.write", "eval", "Function(", "localStorage"):
            self.assertNotIn(word, script)

    def test_every_id_that_the_script_looks_for_is_there_once(self) -> None:
        """
        And labels, controls and descriptions name what there is.
        """
        ids = [attributes["id"] for _, attributes in self.document.elements if "id" in attributes]
        self.assertEqual(sorted(set(ids)), sorted(ids))
        [script] = self.document.inline["script"]
        self.assertLessEqual(set(re.findall(r'\$\("([a-z-]+)"\)', script)), {*ids})
        for _, attributes in self.document.elements:
            for name in ("for", "aria-labelledby", "aria-describedby", "aria-controls"):
                self.assertIn(attributes.get(name, ids[0]), ids)

    def test_it_is_the_same_for_all(self) -> None:
        """
        It tells nothing of the service, as everybody may see it.
        """
        self.assertEqual(list(shell_pages()), [b"/"])
        self.assertEqual((self.page.code, self.page.content_type), (200, "text/html; charset=utf-8"))
