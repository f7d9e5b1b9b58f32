"""Hash all code that a component or a stage reaches: definitions by name, in its own package and in mgbench.

The hash does not depend on the files in which definitions are, nor on other definitions in them.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from mgbench.recipes.definitions import meaning
from mgbench.recipes.modules import read_module
from mgbench.recipes.normal import EFFECTS, WHOLE, Meaning, Node, effects


@dataclass(frozen=True)
class Reached:
    """The hash of the reached code, and the attribute names that it mentions."""

    code: str
    mentions: frozenset[str]
    nodes: frozenset[Node] = frozenset()


def fingerprint(maker: type) -> str:
    """The hash of all code that a component reaches (12 hexadecimal digits)."""
    return reached((node_of(maker),)).code


def fingerprint_of(module: str) -> str:
    """The hash of all code that the definitions of a module reach (12 hexadecimal digits)."""
    return reached((Node(module, WHOLE),)).code


def node_of(maker: type) -> Node:
    """The definition of a class; its whole module if the class is not at the top level."""
    text = read_module(maker.__module__)
    there = text is not None and maker.__qualname__ in text.statements
    return Node(maker.__module__, maker.__qualname__ if there else WHOLE)


@cache
def reached(roots: tuple[Node, ...], cut: frozenset[str] = frozenset(), stops: frozenset[str] = frozenset()) -> Reached:
    """The code that these nodes reach, without the methods named in `cut`.

    Nodes are numbered in the order of discovery, so that their names and files do not count. The code of modules and
    packages in `stops` is left out.
    """
    hashed, mentions = hashlib.sha256(), set[str]()
    numbers = {node: number for number, node in enumerate(roots)}
    waiting = list(roots)
    for node in waiting:
        found = meaning(node, cut)
        refers = [*found.refers, *_on_import(node, found)]
        hashed.update(found.code.encode())
        mentions |= found.mentions
        for other in refers:
            if _stopped(other, stops):
                hashed.update(other.name.encode())
                continue
            if other not in numbers:
                numbers[other] = len(numbers)
                waiting.append(other)
            hashed.update(f" {numbers[other]}".encode())
        hashed.update(b"\n")
    return Reached(hashed.hexdigest()[:12], frozenset(mentions), frozenset(numbers))


def _on_import(node: Node, found: Meaning) -> Iterable[Node]:
    happens = None if node.name in (EFFECTS, WHOLE) else effects(node.module)
    return () if happens is None or happens in found.refers else (happens,)


def _stopped(node: Node, stops: frozenset[str]) -> bool:
    parts = node.module.split(".")
    rooms = (".".join(parts[: count + 1]) for count in range(len(parts)))
    return f"{node.module}:{node.name}" in stops or not stops.isdisjoint(rooms)
