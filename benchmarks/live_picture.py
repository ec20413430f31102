"""The README's picture of a session in the terminal, taken from a real one.

``python -m benchmarks.live_picture`` runs a phantom for a minute and draws what the terminal shows.
"""

from __future__ import annotations

import io
import subprocess
import tempfile
import time
from pathlib import Path

from rich.console import Console

from brainforge.cli.live_view import screen
from brainforge.session.session import Session, View
from brainforge.session.spec import SessionSpec

PICTURE = Path(__file__).parents[1] / "docs" / "images" / "live_terminal.png"
SECONDS, COLUMNS = 60.0, 112
#: monospaced fonts that are here; the drawing would else ask the network for one
FONT = "DejaVu Sans Mono, Liberation Mono, monospace"


def seen(folder: str) -> View:
    """Return what a session of a phantom shows after a minute."""
    spec = SessionSpec(source="phantom:n_channels=306,gaps=12", archive=f"{folder}/s.zarr")
    with Session(spec) as session:
        begun = time.monotonic()
        view = session.poll()
        while time.monotonic() - begun < SECONDS:
            view = session.poll()
            time.sleep(0.1)
    return view


def drawn(view: View, path: Path) -> None:
    """Draw the terminal's content into a PNG file."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True)
    console.print(screen(view))
    text = console.export_svg(title="brainforge live --source phantom --out S017.zarr")
    fonts = text.index("@font-face")
    style = text.index(".terminal", fonts) if ".terminal" in text[fonts:] else fonts
    svg = (text[:fonts] + text[style:]).replace("Fira Code", FONT)
    size = svg.split('viewBox="0 0 ', 1)[1].split('"', 1)[0].split()
    width, height = (round(float(n)) for n in size)
    with tempfile.NamedTemporaryFile("w", suffix=".svg", encoding="utf-8") as file:
        file.write(svg)
        file.flush()
        subprocess.run(
            ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
             f"--window-size={width},{height}", f"--screenshot={path}", f"file://{file.name}"],
            check=True, capture_output=True,
        )  # fmt: skip


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="brainforge-picture-") as folder:
        drawn(seen(folder), PICTURE)
    print(PICTURE)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
