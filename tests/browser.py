"""Drive a real headless Chromium by the WebDriver protocol, for the tests of pages."""

import base64
import json
import os
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


HERE = shutil.which("chromium") and shutil.which("chromedriver")
ARGUMENTS = ["--headless=new", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"]
# Bring a place of an element into view, and return where on the screen it then is.
SCROLL = """const [selector, across, down] = arguments;
const one = document.querySelector(selector);
one.scrollIntoView({block: "center"});
for (let around = one.parentElement; around; around = around.parentElement) {
  const at = one.getBoundingClientRect();
  around.scrollLeft += at.left + across * at.width - innerWidth / 2;
}
const at = one.getBoundingClientRect();
return [Math.round(at.left + across * at.width), Math.round(at.top + down * at.height)];"""
STARTED = b"was started successfully on port "


class Browser:
    """A session of a browser at the address of its driver."""

    def __init__(self, driver: str):
        root = ["--no-sandbox"] if os.geteuid() == 0 else []
        options = {"goog:chromeOptions": {"args": [*ARGUMENTS, *root]}}
        wanted = {"alwaysMatch": options | {"goog:loggingPrefs": {"browser": "ALL"}}}
        self._address = f"{driver}/session"
        self._address += f"/{self._ask('', capabilities=wanted)['sessionId']}"
        self.chrome("Emulation.setScrollbarsHidden", hidden=True)  # as on a phone

    def _ask(self, path: str, method: str = "POST", **content: Any) -> Any:
        body = json.dumps(content).encode() if method == "POST" else None
        asked = urllib.request.Request(f"{self._address}{path}", body, method=method)
        with urllib.request.urlopen(asked, timeout=60) as answer:
            return json.load(answer)["value"]

    def chrome(self, command: str, **parameters: Any) -> Any:
        """Give a command of Chromium's own protocol."""
        return self._ask("/goog/cdp/execute", cmd=command, params=parameters)

    def open(self, address: str, *, width: int = 1280, dark: bool = False) -> None:
        """Open a page on a screen of so many pixels."""
        size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False}
        self.chrome("Emulation.setDeviceMetricsOverride", **size)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.chrome("Emulation.setEmulatedMedia", features=[scheme])
        self._ask("/url", url="about:blank")  # else another fragment would not load it anew
        self._ask("/url", url=address)

    def run(self, script: str, *arguments: Any) -> Any:
        """Return what a script returns; elements are told by selectors in it."""
        return self._ask("/execute/sync", script=script, args=list(arguments))

    def until(self, condition: str) -> None:
        """Wait until a condition is true."""
        ends = time.monotonic() + 30
        while not self.run(f"return {condition}"):
            assert time.monotonic() < ends, condition
            time.sleep(0.05)

    def point(
        self, selector: str, *, click: bool = False, at: tuple[float, float] = (0.5, 0.5)
    ) -> None:
        """Move the pointer onto an element, at shares of its size, and perhaps click."""
        x, y = self.run(SCROLL, selector, *at)
        steps: list[dict[str, Any]] = [{"type": "pointerMove", "duration": 0, "x": x, "y": y}]
        steps += [{"type": "pointerDown", "button": 0}, {"type": "pointerUp", "button": 0}] * click
        mouse = {"type": "pointer", "id": "mouse", "actions": steps}
        self._ask("/actions", actions=[mouse])

    def type(self, selector: str, text: str) -> None:
        """Type a text into an element."""
        element = self._ask("/element", using="css selector", value=selector)
        self._ask(f"/element/{next(iter(element.values()))}/value", text=text)

    def pdf(self) -> bytes:
        """Print the page."""
        return base64.b64decode(self._ask("/print"))

    def picture(self, path: Path, *, whole: bool = False) -> None:
        """Write a screenshot, of the whole page or of the screen."""
        png = self.chrome("Page.captureScreenshot", captureBeyondViewport=whole)["data"]
        path.write_bytes(base64.b64decode(png))

    def complaints(self) -> list[str]:
        """Return what the console has said since it was last asked."""
        return [entry["message"] for entry in self._ask("/se/log", type="browser")]

    def close(self) -> None:
        """End the session."""
        self._ask("", "DELETE")


@contextmanager
def opened() -> Iterator[Browser]:
    """Start a driver and a browser, and end both."""
    command = ["chromedriver", "--port=0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as driver:
        assert driver.stdout is not None
        try:
            line = next(line for line in driver.stdout if STARTED in line)
            port = int(line.partition(STARTED)[2].strip(b".\n"))
            browser = Browser(f"http://127.0.0.1:{port}")
            try:
                yield browser
            finally:
                browser.close()  # else it would outlive its driver
        finally:
            driver.terminate()
