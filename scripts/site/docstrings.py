"""Docstrings as Markdown: shapes such as [B][R,W] are no links."""

import re
from typing import Any

import griffe


class Shapes(griffe.Extension):
    """Escapes brackets outside code."""

    def on_instance(self, *, obj: griffe.Object, **rest: Any) -> None:
        """Change the docstring of an object as it is loaded."""
        if obj.docstring:
            parts = re.split(r"(`[^`]*`)", obj.docstring.value)
            obj.docstring.value = "".join(part if part.startswith("`") else part.replace("[", "\\[") for part in parts)
