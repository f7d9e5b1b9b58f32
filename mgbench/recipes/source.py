"""The source of a plugin."""

from dataclasses import dataclass

from mgbench.recipes.fingerprint import fingerprint_of

OUR_COMPONENTS = "mgbench.components"


@dataclass(frozen=True)
class Source:
    """Where a plugin comes from: its name, its module or file, and its distribution."""

    name: str
    target: str
    distribution: str = ""

    @property
    def module(self) -> str:
        """The name of its imported module."""
        return f"mgbench_plugin_{self.name}" if self.target.endswith(".py") else self.target

    def version(self) -> str:
        """A readable version: the plugin's name, the hash of its code, and its distribution or file."""
        return f"{self.name} {self.code()} ({self.distribution or self.target})"

    def code(self) -> str:
        """The hash of the plugin's code."""
        return fingerprint_of(self.module)
