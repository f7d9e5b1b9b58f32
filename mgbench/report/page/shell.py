"""The common part of pages: inline styles and scripts, and a content security policy that allows nothing else."""

import base64
import hashlib
import json
import math
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from mgbench.report.page.inline import palette
from mgbench.results.files import write_bytes

ELSEWHERE = "name another folder with -o"
TEMPLATES = Path(__file__).parents[1] / "templates"
STYLE = "page.css"
# The first stands in the head, so that the page is never shown in the wrong theme; the others at the end of the body.
EARLY = "theme.js"
SCRIPTS = ("vendor/datatables-3.1.5.min.js", "state.js", "grid.js", "viewer.js")
# Characters that could end a script element, start a comment in it, or break a line in older engines.
UNSAFE = {ord(sign): f"\\u{ord(sign):04x}" for sign in "<>&\u2028\u2029"}


def write_page(path: Path, template: str, **context: object) -> Path:
    """Render a template into one file; text is escaped, and only our own scripts may run."""
    early, scripts = _text(EARLY), [_text(name) for name in SCRIPTS]
    page = (
        _environment()
        .get_template(template)
        .render(
            style=Markup(palette() + _text(STYLE)),
            early=Markup(early),
            scripts=[Markup(script) for script in scripts],
            policy=_policy([early, *scripts]),
            **context,
        )
    )
    write_bytes(path, page.encode(), ELSEWHERE)
    return path


def as_json(value: object) -> Markup:
    """JSON for a script element, escaped so that strings cannot end the element."""
    return Markup(json.dumps(value, separators=(",", ":"), allow_nan=False).translate(UNSAFE))


# Any: any value of a frame; values that are not numbers become None.
def finite(value: Any) -> float | None:
    """A finite number, or None."""
    try:
        known = float(value)
    except (TypeError, ValueError):
        return None
    return known if math.isfinite(known) else None


def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )


def _text(name: str) -> str:
    return (TEMPLATES / name).read_text(encoding="utf-8").strip()


def _policy(scripts: list[str]) -> str:
    """A policy without network access, in which only these scripts run, by hash."""
    hashes = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'" for script in scripts
    )
    return f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src {hashes}"
