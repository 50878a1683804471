"""Takes the README's picture: the top of a run's report, 1280 pixels wide, as a small PNG.

``python tests/suite/report_picture.py runs/latest docs/report.png``
"""

from __future__ import annotations

import argparse
import io
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

CHROMIUM = Path("/usr/bin/chromium")
WIDTH_PX = 1280
COLOURS = 128
"""A palette keeps the file small; a report has few colours."""


def main() -> int:
    """The program."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="the run's folder")
    parser.add_argument("picture", type=Path, help="the PNG file to write")
    parser.add_argument("--height-px", type=int, default=1250, help="how much of the page is shown")
    options = parser.parse_args()
    with sync_playwright() as playwright:
        executable = str(CHROMIUM) if CHROMIUM.exists() else None
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": WIDTH_PX, "height": options.height_px}, color_scheme="light")
        page.goto((options.run / "report.html").resolve().as_uri())
        picture = Image.open(io.BytesIO(page.screenshot()))
        browser.close()
    picture.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(options.picture, optimize=True)
    print(f"{options.picture}: {options.picture.stat().st_size / 1000:.0f} kB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
