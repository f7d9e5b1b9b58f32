"""Base classes of commands: suggestions for unknown commands and options, and an error for repeated single options."""

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

from typer.core import TyperCommand, TyperGroup

from mgbench.errors import UserError, nearest, suggestion

# Newer versions of typer bundle their own click; the exceptions must come from the same one as the commands.
_CLICK = import_module(TyperCommand.__mro__[1].__module__.rpartition(".")[0] + ".exceptions")
_OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]+")

if TYPE_CHECKING:
    # The type depends on which click typer uses.
    Context = Any


class Command(TyperCommand):
    """A command of `mgbench`."""

    def parse_args(self, ctx: "Context", args: list[str]) -> list[str]:
        """Parse the arguments of the command.

        Raises:
            UserError: if an option does not exist, is repeated although it takes one value, or is not a finite number.
        """
        try:
            if not ctx.resilient_parsing:
                self._check_once(ctx, args)
            rest: list[str] = super().parse_args(ctx, args)
        except _CLICK.NoSuchOption as error:
            raise UserError(self._unknown(error.option_name, args)) from None
        self._check_finite(ctx)
        return rest

    def _check_finite(self, ctx: "Context") -> None:
        # Comparisons with NaN are false, so it passes through every check of a range.
        for param in self.params:
            value = ctx.params.get(param.name)
            if isinstance(value, float) and not math.isfinite(value):
                raise UserError(f"{max(param.opts, key=len)} is {value:g}, and should be a finite number")

    def _check_once(self, ctx: "Context", args: list[str]) -> None:
        order = self.make_parser(ctx).parse_args(args=list(args))[2]
        for param, times in Counter(order).items():
            single = param.param_type_name == "option" and not param.multiple and not getattr(param, "is_flag", False)
            if single and times > 1:
                raise UserError(
                    f"{max(param.opts, key=len)} is given {times} times but takes one value; keep one of them"
                )

    def _unknown(self, option: str, given: list[str]) -> str:
        """Error text for an unknown option, with a suggestion."""
        from mgbench.recipes.recipe import FIELDS

        known = dict(_options(self))
        said = f"mgbench {self.name} has no option {option}"
        field = option.lstrip("-").replace("-", "_")
        if field in FIELDS and "--set" in known:
            value = _meant(field, option, given)
            return f"{said}; {field} is a recipe field: set it with --set {field}={value}, or vary it with --vary {field}=VALUE,…"
        return f"{said}; {suggestion(option, known)}"


def _meant(field: str, option: str, given: list[str]) -> str:
    """The value that was typed behind an option which is a field, as the nearest component where it is none."""
    from mgbench.recipes.kinds import KINDS
    from mgbench.registry.names import components

    joined = next((word.partition("=")[2] for word in given if word.startswith(f"{option}=")), "")
    place = given.index(option) + 1 if option in given else len(given)
    typed = joined or (given[place] if place < len(given) and not given[place].startswith("-") else "VALUE")
    name = typed.partition("(")[0]
    if typed == "VALUE" or field not in KINDS:
        return typed
    near = nearest(name, [named.name for named in components(field)])
    return typed.replace(name, near, 1) if near else typed


class Group(TyperGroup):
    """The group of all commands."""

    def resolve_command(self, ctx: "Context", args: list[str]) -> Any:
        """Find the command by its name.

        Raises:
            UserError: if no command has that name.
        """
        if args and not args[0].startswith("-") and args[0] not in self.commands:
            raise UserError(f"there is no command {args[0]!r}; {suggestion(args[0], self.commands)}")
        return super().resolve_command(ctx, args)


# Any: the type of a command is that of the click which typer brings along.
def _options(command: Any) -> Iterator[tuple[str, Any]]:
    """Every long option of a command with its parameter."""
    for param in command.params:
        yield from ((name, param) for name in (*param.opts, *param.secondary_opts) if name.startswith("--"))
    yield "--help", None


def advised(message: str, given: list[str], commands: Mapping[str, Any]) -> str:
    """Add to a message, for every option in it that this command lacks, the commands that have it."""
    name = next((word for word in given if word in commands), None)
    if name is None:
        return message
    # An option that follows a command's name belongs to that command.
    loose = re.sub(r"mgbench \w+[^;,')]*", "", message)
    own = dict(_options(commands[name]))
    notes = []
    for option in dict.fromkeys(_OPTION.findall(loose)):
        having = [other for other, command in commands.items() if option in dict(_options(command))]
        if option not in own and having:
            notes.append(f"{option} is an option of {' and '.join(f'mgbench {other}' for other in having)}")
    return f"{message} ({'; '.join(notes)})" if notes else message
