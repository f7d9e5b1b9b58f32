"""Write docs/findings.md and its figures from kept rows of the studies in studies/findings/.

python scripts/findings.py results NAME …   # first keeps the rows of these finished studies in reports/findings/
python scripts/findings.py                  # writes the page again
"""

import argparse
import io
import sys
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:
    sys.path.append(str(ROOT))

from mgbench.errors import UserError  # noqa: E402
from mgbench.report.figures.claims import drawable, figure_of  # noqa: E402
from mgbench.report.figures.picture import as_bytes  # noqa: E402
from mgbench.results.kept import keep  # noqa: E402
from mgbench.results.layout import Layout  # noqa: E402
from scripts.claims.gather import KEPT, Kept, gathered, not_kept  # noqa: E402
from scripts.claims.page import FIGURES, page  # noqa: E402

DOCS = ROOT / "docs"
COLOURS = 64


def findings() -> str:
    """The page."""
    return page(gathered(), not_kept())


def figures(studies: list[Kept]) -> dict[Path, bytes]:
    """The figure of every study with an effect to draw, by its path."""
    shown = {study.name: drawable(study.verdicts) for study in studies}
    return {
        DOCS / FIGURES / f"{name}.png": _small(as_bytes(figure_of(verdicts), "png"))
        for name, verdicts in shown.items()
        if verdicts
    }


def _small(content: bytes) -> bytes:
    """A picture of few colours as PNG with a palette, a third as large."""
    buffer = io.BytesIO()
    Image.open(io.BytesIO(content)).convert("RGB").quantize(COLOURS).save(buffer, "png", optimize=True)
    return buffer.getvalue()


def main() -> None:
    """Keep the named studies, and write the page and its figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("results", nargs="?", default="results", help="results folder of the studies")
    parser.add_argument("names", nargs="*", help="studies whose rows to keep")
    given = parser.parse_args()
    try:
        for name in given.names:
            print(f"{name}: {keep(Layout(Path(given.results)), name, ROOT / KEPT / name)} rows kept in {KEPT / name}")
        studies = gathered()
    except UserError as problem:
        sys.exit(f"findings: {problem}")
    (DOCS / "findings.md").write_text(page(studies, not_kept()), encoding="utf-8")
    for path, content in figures(studies).items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    print(f"docs/findings.md: {len(studies)} studies, {sum(len(study.verdicts) for study in studies)} verdicts")


if __name__ == "__main__":
    main()
