"""docs/overview.png: the live page of the running demo in a real Chromium (``make screenshot``)."""

import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

from tests.chromium import CHROMIUM, FLAGS

ROOT = Path(__file__).parent.parent
CAUGHT_UP_MS = 300_000


def main() -> int:
    """Start the demo, wait until it is live, take the picture, end it."""
    with tempfile.TemporaryDirectory(prefix="screenshot-") as folder:
        command = [sys.executable, "-m", "cli.main", "demo", "--data", f"{folder}/demo", "--port", "0"]
        demo = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        try:
            _picture(_address(demo), ROOT / "docs" / "overview.png", demo)
        finally:
            demo.send_signal(signal.SIGINT)
            demo.communicate()
    return 0


def _address(demo: "subprocess.Popen[str]") -> str:
    assert demo.stdout is not None
    for line in demo.stdout:
        if found := re.search(r"http://\S+?:\d+", line):
            return found[0]
    raise SystemExit("the demo did not tell its address")


def _picture(url: str, path: Path, demo: "subprocess.Popen[str]") -> None:
    assert demo.stdout is not None
    next(line for line in demo.stdout if "(live)" in line)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page(viewport={"width": 1280, "height": 800}, locale="en-GB")
        page.goto(f"{url}/?lang=en")
        page.wait_for_selector(".timeline rect.time", timeout=CAUGHT_UP_MS)
        page.wait_for_timeout(5_000)
        page.screenshot(path=path)
        browser.close()


if __name__ == "__main__":
    sys.exit(main())
