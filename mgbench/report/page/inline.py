"""Inline SVG for pages with light and dark themes; colours become CSS variables of the page."""

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from markupsafe import Markup, escape

from mgbench.report.style import on_dark

# Finer than any screen shows, in typographic points.
_DECIMALS = 2
_NUMBER = re.compile(r"-?\d+\.\d{3,}")
_PLACES = re.compile(r'(?<= d=")[^"]*|(?<= [xy]=")[^"]*|(?<=translate\()[^)]*')
_ID, _REFERENCE = re.compile(r' id="([^"]*)"'), re.compile(r'(?<=[("]#)[\w-]+(?=[)"])')
_STYLE, _COLOUR = re.compile(r'(?<= style=")[^"]*'), re.compile(r"#[0-9a-f]{6}\b")
_MARKER = re.compile(r"(<use [^>]*?)\s*/>")
# A text with an outline is drawn twice, first with its outline.
_OUTLINED = re.compile(r'<path d="([^"]*)" style="(fill:[^;"]*);(stroke:[^"]*)"/><path d="\1" style="\2"/>')
# matplotlib's style sheet for all lines, which inline would apply to the whole page.
_LINES = "stroke-linejoin:round;stroke-linecap:butt"


def palette() -> str:
    """The style sheet with the colours of drawings in the light and the dark theme."""
    return ":root{" + "".join(f"{_name(light)}:light-dark({light},{dark});" for light, dark in on_dark().items()) + "}"


def inline(
    svg: str, name: str, alt: str, size: tuple[int, int], hover: Mapping[str, Sequence[str]] = MappingProxyType({})
) -> Markup:
    """A matplotlib SVG as an element of a page, with a size in CSS pixels.

    Its colours follow the page, what it refers to inside itself begins with `name`, and what no browser shows is left
    out. `hover` maps ids of line elements to the texts shown when the pointer rests on the points of the line.
    """
    body = svg[svg.index("<svg ") :]
    body = re.sub(r"<!--.*?-->|<metadata>.*?</metadata>|<style.*?</style>", "", body, flags=re.DOTALL)
    box = re.search(r'viewBox="[^"]*"', body)
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {box[0] if box else ""} width="{size[0]}" height="{size[1]}"'
    body = body[body.index(">") + 1 :].replace("xlink:href=", "href=")
    body = _PLACES.sub(lambda found: _NUMBER.sub(_rounded, found[0]), body)
    body = _STYLE.sub(lambda found: _COLOUR.sub(_by_name, found[0].replace("; ", ";").replace(": ", ":")), body)
    body = re.sub(r">\s+<", "><", body)
    body = _OUTLINED.sub(r'<path d="\1" style="\2;\3;paint-order:stroke"/>', body)
    for line, texts in hover.items():
        body = _tell(body, line, texts)
    referred = set(_REFERENCE.findall(body))
    body = _ID.sub(lambda found: f' id="{name}-{found[1]}"' if found[1] in referred else "", body)
    body = _REFERENCE.sub(lambda found: f"{name}-{found[0]}", body)
    body = re.sub(r"\s*\n\s*", " ", body)
    return Markup(f'{head} role="img" aria-label="{escape(alt)}" style="{_LINES}">{body.strip()}')


def _tell(body: str, line: str, texts: Sequence[str]) -> str:
    """Add a title to each marker of a line, if there are as many markers as texts."""
    start = body.find(f'<g id="{line}">')
    end = body.find("<g id=", start + 1)
    part = body[start:end] if start >= 0 else ""
    if len(_MARKER.findall(part)) != len(texts):
        return body
    left = iter(texts)
    titled = _MARKER.sub(lambda found: f"{found[1]}><title>{escape(next(left))}</title></use>", part)
    return body[:start] + titled + body[end:]


def _rounded(found: re.Match[str]) -> str:
    return f"{float(found[0]):.{_DECIMALS}f}".rstrip("0").rstrip(".")


def _by_name(found: re.Match[str]) -> str:
    return f"var({_name(found[0])})" if found[0] in on_dark() else found[0]


def _name(colour: str) -> str:
    return f"--on-{colour[1:]}"
