"""A real browser for tests: headless Chromium or Chrome with its network cut.

It is driven over a pair of pipes, so that no package is needed beside the browser itself. Where
there is none, tests are skipped, and the reason says how to name one: in CHROME_BIN.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import select
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

with contextlib.suppress(ImportError):  # Windows has none
    import fcntl

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
NO_BROWSER = "no Chromium or Chrome that pipes can drive: name one in CHROME_BIN"
# A container has no sandbox, often no GPU, and a small /dev/shm; names of hosts lead nowhere.
FLAGS = (
    "--headless=new --no-sandbox --no-zygote --single-process --disable-gpu --in-process-gpu "
    "--use-angle=swiftshader --enable-unsafe-swiftshader --disable-dev-shm-usage --no-first-run "
    "--hide-scrollbars --disable-extensions --disable-background-networking "
    "--remote-debugging-pipe"
).split()
CUT = "--host-resolver-rules=MAP * ~NOTFOUND"
PATIENCE = 60  # seconds for a page and what its script calculates


def find() -> str | None:
    """The browser's path: ``CHROME_BIN``, or the first on the path; None where there is none."""
    named = os.environ.get("CHROME_BIN")
    if named:
        return shutil.which(named)
    found = (shutil.which(name) for name in NAMES)
    return next(filter(None, found), None)


class Browser:
    """One page of a headless browser, to be used in a ``with`` block.

    ``requests`` holds the address of everything that pages have asked for, and ``errors`` what
    their scripts have thrown or logged as an error.
    """

    def __init__(self, folder: Path, width: int = 1280, height: int = 720) -> None:
        self.folder, self.size = folder, (width, height)
        self.requests: list[str] = []
        self.errors: list[str] = []
        self.loaded = False
        self.number = 0
        self.session: str | None = None
        self.rest = b""

    def __enter__(self) -> Browser:
        path = find()
        if path is None or os.name == "nt":
            pytest.skip(NO_BROWSER)
        to_browser, self.commands = os.pipe()
        self.answers, from_browser = os.pipe()
        # High numbers first: 3 and 4, which the browser uses, may be among those just given.
        ends = [fcntl.fcntl(end, fcntl.F_DUPFD, 20) for end in (to_browser, from_browser)]

        def as_three_and_four() -> None:
            os.dup2(ends[0], 3)
            os.dup2(ends[1], 4)

        width, height = self.size
        command = [path, *FLAGS, CUT, f"--user-data-dir={self.folder}"]
        command.append(f"--window-size={width},{height}")
        self.process = subprocess.Popen(
            command,
            preexec_fn=as_three_and_four,
            pass_fds=(3, 4),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for end in (to_browser, from_browser, *ends):
            os.close(end)
        try:
            self.open_page()
        except BaseException:
            self.__exit__()
            raise
        return self

    def open_page(self) -> None:
        """Open an empty page of the wanted size, without a network."""
        page = self.send("Target.createTarget", url="about:blank")["targetId"]
        attached = self.send("Target.attachToTarget", targetId=page, flatten=True)
        self.session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.send(f"{domain}.enable")
        speeds = {"latency": 0, "downloadThroughput": 0, "uploadThroughput": 0}
        self.send("Network.emulateNetworkConditions", offline=True, **speeds)
        width, height = self.size
        screen = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.send("Emulation.setDeviceMetricsOverride", **screen)

    def __exit__(self, *_: object) -> None:
        os.close(self.commands)
        self.process.kill()
        self.process.wait()
        os.close(self.answers)

    def send(self, method: str, **parameters: Any) -> dict:
        """Give one command of the DevTools protocol, and return its result."""
        self.number += 1
        message: dict[str, Any] = {"id": self.number, "method": method, "params": parameters}
        if self.session is not None:
            message["sessionId"] = self.session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self.commands, data) :]
        return self.wait_for(lambda answer: answer.get("id") == self.number)

    def wait_for(self, wanted: Any) -> dict:
        """Read messages until one is wanted, and return its result or its parameters."""
        while True:
            message = self.read()
            self.note(message)
            if wanted(message):
                assert "error" not in message, message["error"]
                return message.get("result", message.get("params", {}))

    def read(self) -> dict:
        """The next message of the browser."""
        while b"\0" not in self.rest:
            ready, _, _ = select.select([self.answers], [], [], PATIENCE)
            assert ready, f"the browser said nothing for {PATIENCE} seconds"
            part = os.read(self.answers, 1 << 16)
            assert part, "the browser has ended"
            self.rest += part
        text, _, self.rest = self.rest.partition(b"\0")
        return json.loads(text)

    def note(self, message: dict) -> None:
        """Keep what a page asks for, and what goes wrong in it."""
        method, parameters = message.get("method"), message.get("params", {})
        if method == "Page.loadEventFired":
            self.loaded = True
        elif method == "Network.requestWillBeSent":
            self.requests.append(parameters["request"]["url"])
        elif method == "Runtime.exceptionThrown":
            details = parameters["exceptionDetails"]
            self.errors.append(str(details.get("exception", {}).get("description", details)))
        elif method == "Log.entryAdded" and parameters["entry"]["level"] == "error":
            self.errors.append(parameters["entry"]["text"])

    def open(self, address: str | Path) -> None:
        """Open a page, given as a path or an address, and wait until it is loaded."""
        if isinstance(address, Path):
            address = address.resolve().as_uri()
        # The event may come before the answer to the command.
        self.loaded = False
        self.send("Page.navigate", url=address)
        while not self.loaded:
            self.note(self.read())

    def run(self, script: str) -> Any:
        """The value of a JavaScript expression; a promise is waited for."""
        options = {"awaitPromise": True, "returnByValue": True}
        answer = self.send("Runtime.evaluate", expression=script, **options)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def screenshot(self, path: Path) -> None:
        """Write what is seen as a PNG."""
        data = self.send("Page.captureScreenshot", format="png")["data"]
        path.write_bytes(base64.b64decode(data))

    @property
    def from_the_network(self) -> list[str]:
        """What pages have asked for that is neither a file nor in the page itself."""
        local = ("file:", "data:", "blob:", "about:")
        return [url for url in self.requests if not url.startswith(local)]
