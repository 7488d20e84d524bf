"""
The status page as people see it: Chromium at a desk and on a phone, before a service that gets and delivers mail.

With EMPATH_RECORD=1 the pictures of the documentation are taken anew, after a minute of mail.
"""

from __future__ import annotations

import os
import random
import signal
import time
from hashlib import sha256
from pathlib import Path

from selenium.webdriver.common.keys import Keys

from tests.e2e.browser import Browser
from tests.e2e.dialogue import Dialogue
from tests.e2e.harness import EndToEndTestCase
from tests.e2e.processes import wait_until
from tests.e2e.program import HOSTNAME, Empath, Settings, merged
from tests.e2e.scripted import says
from tests.e2e.unbound import mail_zone

SCREENS = Path(__file__).parents[2] / "docs" / "screens"
RECORDING = os.environ.get("EMPATH_RECORD") == "1"
DESK, PHONE = (1280, 900), (360, 740)
TOKEN = "let-me-see"
PROTECTED: Settings = {"health": {"token_hash": sha256(TOKEN.encode()).hexdigest()}}
HOSTILE = "<img src=x onerror=alert(1)></td><script>alert(2)</script>"
PATH = "return document.querySelector('.plot path.line.s1').getAttribute('d');"
WIDTH = "return document.documentElement.scrollWidth;"
FOCUSED = """
    const at = document.activeElement;
    return [at.id || at.name || at.tagName, getComputedStyle(at).outlineStyle];
"""
TILE = """
    const tiles = [...document.querySelectorAll('#tiles > div')];
    const tile = tiles.find((each) => each.firstChild.textContent === arguments[0]);
    return tile ? tile.innerText : '';
"""


class StatusPageTests(EndToEndTestCase):
    """
    One instance, and one browser or more.
    """

    def serving(self, settings: Settings | None = None) -> Empath:
        """
        Start an instance, with a peer that takes mail, defers some, and refuses some in words that are up to no good.
        """
        self.taking = self.peer("127.0.0.11")
        self.taking.script.on("RCPT", says(450, "4.2.1 mailbox busy"), argument="later@")
        self.taking.script.on("RCPT", says(550, f"5.1.1 <Never@one.test> {HOSTILE}"), argument="never@")
        zones = [
            *mail_zone("origin.test", "127.0.0.11"),
            *mail_zone("one.test", "127.0.0.11"),
            *mail_zone("two.test", "127.0.0.12"),
            *mail_zone("down.test", "127.0.0.31"),
        ]
        if RECORDING:
            self.peer("127.0.0.12")
            delay = {"delivery": {"base_retry_delay": "25s", "max_retry_delay": "60s"}}
            settings = merged(delay, settings or {})
        return self.relaying(self.dns(*zones), settings)

    def browser(self, size: tuple[int, int] = DESK, dark: bool = False) -> Browser:
        """
        Open a browser.
        """
        made = Browser(self.folder, *size, dark)
        self.addCleanup(made.close)
        return made

    def url(self, empath: Empath) -> str:
        """
        Tell where the page is.
        """
        return f"http://127.0.0.1:{empath.health_port}/"

    def opened(self, empath: Empath, size: tuple[int, int] = DESK, dark: bool = False) -> Browser:
        """
        Open a browser at the page, and wait for the first figures.
        """
        browser = self.browser(size, dark)
        browser.open(self.url(empath))
        browser.wait("#state", "Up and ready")
        return browser

    def wait_tile(self, browser: Browser, name: str, text: str) -> None:
        """
        Wait until a figure is told.
        """
        wait_until(f"{name}: {text}", lambda: text in str(browser.run(TILE, name)).split("\n"), 30.0)

    def test_follows_mail_at_a_desk(self) -> None:
        """
        In light.
        """
        self.follow("status-desk", DESK, False)

    def test_follows_mail_on_a_phone(self) -> None:
        """
        In the dark.
        """
        self.follow("status-phone", PHONE, True)

    def follow(self, name: str, size: tuple[int, int], dark: bool) -> None:
        """
        Watch mail come and go: figures, charts and failures change, what a peer writes is text, and nothing is wrong.
        """
        empath = self.serving()
        browser = self.opened(empath, size, dark)
        self.assertEqual(browser.text("#hostname"), HOSTNAME)
        before = browser.run(PATH)
        for to in ("you@one.test", "me@one.test", "later@one.test", "never@one.test"):
            self.send(empath, [to])
        self.attempt(empath, ["no address"])
        for tile, text in (
            ("Received", "4 in all"),
            ("Delivered", "3 in all"),  # with the report on what failed
            ("Failed", "1 in all"),
            ("Refused", "1 in all"),
        ):
            self.wait_tile(browser, tile, text)
        wait_until("the chart moves", lambda: browser.run(PATH) != before)
        browser.wait("#failures", "450 4.2.1 mailbox busy")
        browser.wait("#failures", f"550 5.1.1 <…@one.test> {HOSTILE}")
        browser.wait("#slowest", "mx")
        self.assertEqual(browser.run("return document.querySelectorAll('img, iframe').length;"), 0)
        self.assertNotIn("ever@", browser.text("body"))
        self.assertEqual(browser.run(WIDTH), size[0])
        if RECORDING:
            self.record(empath, browser, name)
        self.assertEqual(browser.faults(), [])
        self.assertEqual(browser.console(), [])
        self.assertEqual(browser.hosts(), {f"127.0.0.1:{empath.health_port}"})

    def record(self, empath: Empath, browser: Browser, name: str) -> None:
        """
        Have a minute of mail, and take a picture.
        """
        chance, end = random.Random(8), time.monotonic() + 75
        browser.find("input[name=span][value='60']").click()
        while time.monotonic() < end:
            for _ in range(chance.randrange(1, 12)):
                to = chance.choices(
                    ["you@one.test", "you@two.test", "later@one.test", "never@one.test", "you@down.test"],
                    [9, 7, 1, 1, 1],
                )
                self.send(empath, to)
            time.sleep(chance.random())
        browser.run("window.scrollTo(0, 0);")
        browser.picture(SCREENS / f"{name}.png")
        browser.run("document.getElementById('h-failures').scrollIntoView();")
        browser.picture(SCREENS / f"{name}-below.png")

    def test_has_a_history_for_those_who_come_late(self) -> None:
        """
        What was before the page was opened is drawn at once.
        """
        empath = self.serving()
        self.send(empath, ["you@one.test"])
        self.wait_arrived(self.taking, "you@one.test")
        time.sleep(3)  # so that there are samples, with that second among them
        browser = self.opened(empath)
        self.assertGreater(str(browser.run(PATH)).count("L"), 1)
        browser.find("figure:first-of-type summary").click()
        rows = "return document.querySelectorAll('figure:first-of-type tbody tr').length;"
        self.assertGreater(browser.run(rows), 0)
        self.assertEqual(browser.faults(), [])

    def test_wants_the_token_and_keeps_it_for_the_tab(self) -> None:
        """
        A wrong one is said to be wrong; the right one outlives a reload, is stored nowhere else, and can be forgotten.
        """
        empath = self.serving(PROTECTED)
        browser = self.browser(PHONE)
        browser.open(self.url(empath))
        browser.wait("#ask", "This page wants a token")
        self.assertEqual(browser.faults(), [])
        self.assertEqual(browser.text("#all"), "")
        browser.find("#token").send_keys("guessed", Keys.ENTER)
        browser.wait("#refused", "That token is not the one.")
        browser.find("#token").send_keys(TOKEN, Keys.ENTER)
        browser.wait("#state", "Up and ready")
        browser.open(self.url(empath))
        browser.wait("#state", "Up and ready")
        self.assertEqual(browser.run("return [localStorage.length, document.cookie];"), [0, ""])
        self.assertNotIn(TOKEN, browser.driver.current_url)
        browser.find("#forget").click()
        browser.wait("#ask", "This page wants a token")
        self.assertEqual(browser.run("return sessionStorage.length;"), 0)
        self.assertEqual([each for each in browser.console() if "401" not in each], [])

    def test_comes_back_when_the_service_does(self) -> None:
        """
        While it is gone the page says so, and keeps what it knows.
        """
        empath = self.serving()
        browser = self.opened(empath)
        self.send(empath, ["you@one.test"])
        self.wait_tile(browser, "Received", "1 in all")
        empath.stop()
        browser.wait("#state", "Connection lost")
        self.assertIn("1 in all", str(browser.run(TILE, "Received")))
        empath.start()
        browser.wait("#state", "Up and ready", 40.0)
        self.wait_tile(browser, "Received", "0 in all")
        self.assertEqual([each for each in browser.console() if "net::ERR_" not in each], [])

    def test_says_what_is_not_ready(self) -> None:
        """
        And that it is again.
        """
        empath = self.serving()
        browser = self.opened(empath)
        empath.reload({"spool": {"min_free": "900000GiB"}})
        browser.wait("#state", "Up, not ready")
        browser.wait("#parts", "disk: less room than has to stay free")
        empath.reload({"spool": {"min_free": "1MiB"}})
        browser.wait("#state", "Up and ready")

    def test_says_that_it_stops(self) -> None:
        """
        As long as the last message is on its way in.
        """
        empath = self.serving()
        browser = self.opened(empath)
        with Dialogue(empath.port) as client:
            client.greet()
            for command in ("MAIL FROM:<>", "RCPT TO:<you@one.test>", "DATA"):
                client.say(command)
            empath.running().signal(signal.SIGTERM)
            browser.wait("#state", "Stopping")
            client.send(b"Subject: x\r\n\r\nx\r\n.\r\n")
            self.assertEqual(client.reply().code, 250)
        browser.wait("#state", "Connection lost")
        wait_until("its end", lambda: empath.running().exit_code is not None, 10)
        self.assertEqual(empath.running().exit_code, 0)
        self.assertNotIn("not ready: spool", empath.log())

    def test_is_used_by_keyboard(self) -> None:
        """
        Tab reaches every control, with a focus that shows; arrows go back in time, and Pause holds the page still.
        """
        empath = self.serving()
        browser = self.opened(empath)
        time.sleep(3)
        reached: list[str] = []
        for _ in range(12):
            browser.driver.switch_to.active_element.send_keys(Keys.TAB)
            name, outline = browser.run(FOCUSED)
            reached.append(str(name))
            self.assertIn(outline, ("solid", "none" if name == "BODY" else "solid"), str(name))
        self.assertLessEqual({"pause", "span", "moment", "SUMMARY"}, {*reached})
        browser.find("#moment").send_keys(Keys.ARROW_LEFT, Keys.ARROW_LEFT)
        self.assertRegex(browser.text("#moment-text"), r"^\d\d:\d\d:\d\d$")
        browser.find("#moment").send_keys(Keys.END)
        browser.wait("#moment-text", "now")
        browser.find("#pause").send_keys(Keys.SPACE)
        browser.wait("#state", "(paused)")
        self.send(empath, ["you@one.test"])
        time.sleep(2.5)
        self.assertIn("0 in all", str(browser.run(TILE, "Received")))
        browser.find("#pause").send_keys(Keys.SPACE)
        self.wait_tile(browser, "Received", "1 in all")
