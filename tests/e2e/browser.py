"""
Chromium without a window, as people's browsers show a page: at a size, in light or dark, with all that it logs.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from selenium.webdriver import Chrome
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

from tests.e2e.clients import require_file
from tests.e2e.processes import require_program, wait_until

SWITCHES = (
    "--headless=new",
    "--no-sandbox",  # which root needs
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--hide-scrollbars",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--lang=en-GB",
)
SHOWN = """
    const found = document.querySelector(arguments[0]);
    return found && found.checkVisibility() ? found.innerText : '';
"""
SERIOUS = ("serious", "critical")


class Browser:
    """
    One browser with an empty profile; `dark` is what its user prefers, who may want no motion, too.
    """

    def __init__(self, folder: Path, width: int, height: int, dark: bool = False) -> None:
        options = Options()
        options.binary_location = require_program("chromium")
        for switch in (*SWITCHES, f"--window-size={width},{height}", f"--user-data-dir={folder / 'chromium'}"):
            options.add_argument(switch)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        self.size = (width, height)
        self._requests: list[str] = []
        self.driver = Chrome(options=options, service=Service(require_program("chromedriver")))
        self._tell(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 500
        )
        colours = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        still = {"name": "prefers-reduced-motion", "value": "reduce"}
        self._tell("Emulation.setEmulatedMedia", features=[colours, still])

    def _tell(self, command: str, **arguments: Any) -> Any:
        return self.driver.execute_cdp_cmd(command, arguments)

    def close(self) -> None:
        """
        End it.
        """
        self.driver.quit()

    def open(self, url: str) -> None:
        """
        Show a page.
        """
        self.driver.get(url)

    def find(self, selector: str) -> WebElement:
        """
        Find one element.
        """
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def text(self, selector: str) -> str:
        """
        Read what an element shows, "" where it is hidden or not there, all at one moment.
        """
        return str(self.driver.execute_script(SHOWN, selector))

    def run(self, script: str, *arguments: object) -> Any:
        """
        Run a function's body in the page.
        """
        return self.driver.execute_script(script, *arguments)

    def wait(self, selector: str, text: str, seconds: float = 20.0) -> None:
        """
        Wait until an element shows some text.
        """
        wait_until(f"{selector} shows {text}", lambda: text in self.text(selector), seconds)

    def console(self) -> list[str]:
        """
        Tell what was logged to the console since the last time.
        """
        return [str(entry["message"]) for entry in self.driver.get_log("browser")]

    def hosts(self) -> set[str]:
        """
        Tell all hosts, with their ports, that pages have asked for anything so far.
        """
        for entry in self.driver.get_log("performance"):
            said = json.loads(entry["message"])["message"]
            if said["method"] == "Network.requestWillBeSent":
                self._requests.append(said["params"]["request"]["url"])
        return {urlsplit(url).netloc for url in self._requests if urlsplit(url).scheme not in ("data", "chrome")}

    def faults(self) -> list[str]:
        """
        Tell what axe finds wrong with the page as it stands, of what is serious or critical.
        """
        axe = require_file("axe/node_modules/axe-core/axe.min.js", "axe-core").read_text()
        self._tell("Runtime.evaluate", expression=axe)  # which no Content-Security-Policy keeps from the page
        script = "const done = arguments[0]; axe.run().then((found) => done(found.violations), (e) => done(String(e)));"
        found = self.driver.execute_async_script(script)
        if not isinstance(found, list):
            raise AssertionError(f"axe failed: {found}")
        return [
            f"{each['id']}: {node['html'][:200]}: {node['failureSummary'][:300]}"
            for each in found
            if each["impact"] in SERIOUS
            for node in each["nodes"]
        ]

    def picture(self, path: Path) -> None:
        """
        Keep what can be seen, as PNG.
        """
        shown = self._tell("Page.captureScreenshot", format="png", optimizeForSpeed=False)
        path.write_bytes(base64.b64decode(shown["data"]))
