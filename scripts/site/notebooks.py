"""Pages of notebooks, with the outputs that they were saved with."""

import base64
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# pandas brings styles of its own; the site's are better to read.
_FRAME = re.compile(r'<table border="1" class="dataframe">')
_STYLE = re.compile(r"<style scoped>.*?</style>\s*", re.DOTALL)


def pages(path: Path, uri: str) -> dict[str, str | bytes]:
    """The page of a notebook and its pictures, by their paths in the site."""
    made: dict[str, str | bytes] = {}
    text = []
    for place, cell in enumerate(json.loads(path.read_text(encoding="utf-8"))["cells"]):
        source = "".join(cell["source"])
        text.append(source if cell["cell_type"] == "markdown" else f"```python\n{source}\n```")
        for number, output in enumerate(cell.get("outputs", ())):
            picture = f"{uri.removesuffix('.ipynb')}_{place}_{number}.png"
            shown, content = _output(output, picture.rpartition("/")[2])
            text.extend(shown)
            made |= {picture: content} if content else {}
    return {f"{uri.removesuffix('.ipynb')}.md": "\n\n".join(text) + "\n", **made}


def _output(output: dict[str, Any], picture: str) -> tuple[Iterator[str], bytes]:
    """An output as Markdown, and its picture."""
    data = {kind: "".join(content) for kind, content in output.get("data", {}).items()}
    if "image/png" in data:
        return iter([f"![Output of the cell above]({picture})"]), base64.b64decode(data["image/png"])
    if "text/html" in data:
        return iter([_FRAME.sub("<table>", _STYLE.sub("", data["text/html"]))]), b""
    text = "".join(output.get("text", "")) or data.get("text/plain", "")
    return iter([f"```text\n{text.rstrip()}\n```"] if text else []), b""
