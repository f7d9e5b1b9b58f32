"""Check the components of a plugin against the laws of their kinds; a failure reports the law, the input and a remedy."""

import traceback
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

from mgbench.errors import Unfit, UserError
from mgbench.recipes.kinds import TABLE
from mgbench.recipes.source import Source
from mgbench.recipes.spec import Spec
from mgbench.registry.blame import blame
from mgbench.registry.loading import find, load, ours
from mgbench.registry.registry import Registry
from mgbench.registry.resolve import assemble

_ERROR = (
    "mend the error; if the component cannot work with such tokens or parts, let its `check(self, parts, space)` raise "
    "Unfit with the reason"
)


@dataclass(frozen=True)
class Broken:
    """A law that a component breaks, the input on which it does, and a remedy."""

    law: str
    given: str
    remedy: str

    def __str__(self) -> str:
        return f"law: {self.law}\ngiven: {self.given}\nremedy: {self.remedy}"


class LawBroken(AssertionError):
    """A component breaks a law; the message names the component, the law, the input and the remedy."""


@dataclass(frozen=True)
class LawCheck:
    """The check of one component of a plugin, or of one of its methods (kind "method"), against the laws of its kind."""

    registry: Registry = field(repr=False)
    plugin: str
    kind: str
    spec: Spec

    def __str__(self) -> str:
        return f"{self.kind} {self.spec}"

    def broken(self) -> Broken | None:
        """The first broken law, or None.

        Raises:
            Unfit: if it cannot be checked here, with the reason.
        """
        return self._method() if self.kind == "method" else self._component()

    def __call__(self) -> None:
        """Check the laws.

        Raises:
            Unfit: as `broken`.
            LawBroken: if it breaks one.
        """
        if found := self.broken():
            raise LawBroken(f"{self}\n{found}")

    def _method(self) -> Broken | None:
        recipe = self.registry.recipes[self.plugin][self.spec.name]
        try:
            found = assemble(self.registry, recipe)
        except UserError as error:
            return Broken("the recipe of a method must be one that can be built", str(self.spec), str(error))
        if found.images is None and not self._brings_data(found.spelled["dataset"]):
            raise Unfit(f"its data are not here: {found.unfit}")
        if found.unfit:
            return Broken("the parts of a method must work together", str(self.spec), f"mend this: {found.unfit}")
        return None

    def _brings_data(self, dataset: str) -> bool:
        """Whether the data set of a method is of the same plugin."""
        return self.registry.offer("dataset", Spec.parse(dataset)).plugin == self.plugin

    def _component(self) -> Broken | None:
        from mgbench.testing import LAWS
        from mgbench.testing.remedies import remedy

        try:
            component = self.registry.build(self.kind, self.spec)
        except UserError as error:
            raise Unfit(f"{error}; --spec '{self.spec.name}(…)' checks it with options") from None
        try:
            LAWS[self.kind](component)
        except AssertionError as error:
            return Broken(str(error), _given(error, self.spec), remedy(str(error), self.kind))
        except UserError as error:
            raise Unfit(str(error)) from None
        except Exception as error:
            law = f"a {self.kind.replace('_', ' ')} must take every input of its kind, and it raised"
            return Broken(f"{law} {blame(error, [type(component)])}", _given(error, self.spec), _ERROR)
        return None


def law_checks(wanted: Iterable[str], specs: Iterable[str] = ()) -> list[LawCheck]:
    """The checks of all components and methods of these plugins; `specs` give options for components that need them.

    Raises:
        UserError: if a plugin does not load, or a spec names none of its components.
    """
    bundled = ours()
    sources = [bundled.get(name) or find(name) for name in wanted]
    registry = load(source for source in sources if source.name not in bundled)
    with_options = [Spec.parse(text) for text in specs]
    found = [one for source in sources for one in _of(registry, source, with_options)]
    known = {one.spec.name for one in found}
    if unknown := [str(spec) for spec in with_options if spec.name not in known]:
        raise UserError(
            f"these plugins bring no {', '.join(unknown)}; they bring {', '.join(sorted(known)) or 'nothing'}"
        )
    return found


def _of(registry: Registry, source: Source, specs: list[Spec]) -> Iterator[LawCheck]:
    if source.name in registry.problems:
        raise UserError(registry.problems[source.name])
    for kind in (kind.name for kind in TABLE if not kind.offered_as):
        for name, offer in registry.names(kind).items():
            if offer.plugin == source.name:
                named = [spec for spec in specs if spec.name == name] or [Spec(name)]
                yield from (LawCheck(registry, source.name, kind, spec) for spec in named)
    for method in registry.recipes.get(source.name, ()):
        yield LawCheck(registry, source.name, "method", Spec(method))


def _given(error: BaseException, spec: Spec) -> str:
    """The local variables of the broken law that describe the input of the component."""
    import mgbench.testing.laws

    laws = Path(mgbench.testing.laws.__path__[0])
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__) if _lies_in(frame, laws)]
    found = (f"{name} = {text}" for name, value in _locals(frames) if (text := _described(value)))
    return f"{spec}; {', '.join(found) or 'nothing besides'}"


def _lies_in(frame: FrameType, folder: Path) -> bool:
    return Path(frame.f_code.co_filename).is_relative_to(folder)


def _locals(frames: list[FrameType]) -> Iterator[tuple[str, Any]]:
    return ((name, value) for name, value in frames[-1].f_locals.items()) if frames else iter(())


def _described(value: object) -> str:
    """Dtype, shape and range of a tensor, the text of a plain value, and an empty string for anything else."""
    import torch

    from mgbench.interfaces.data import TokenSpace
    from mgbench.interfaces.sampling import Step

    if isinstance(value, torch.Tensor):
        kind = f"{str(value.dtype).removeprefix('torch.')}{list(value.shape)}"
        usable = value.numel() and value.dtype != torch.bool and value.device.type == "cpu"
        return f"{kind} in [{value.min().item():.4g}, {value.max().item():.4g}]" if usable else kind
    plain = isinstance(value, bool | int | float | torch.dtype | TokenSpace | Step)
    return repr(value) if plain else ""
