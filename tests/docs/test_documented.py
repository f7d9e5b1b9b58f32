"""No hook, command, option, component or method without documentation, and no option in the docs that does not exist."""

import re
from typing import Any

import pytest
import typer

from mgbench import hookspecs
from mgbench.cli.app import app
from mgbench.cli.output.describe import in_words, options, registry_kinds
from scripts.site import commands, kinds, methods
from scripts.site.text import section
from tests.docs.blocks import ROOT

DOCS = ROOT / "docs"
HOOKS = [name for name in vars(hookspecs) if name.startswith("mgbench_")]
COMMANDS = commands.group()
# Options of other programs that pages name.
OTHERS = {
    *("--logdir", "--backend-store-uri", "--gpus-per-node", "--help", "--same-memory", "--repetitions"),
    *("--kills", "--damage", "--configs", "--rounds", "--rows", "--steps", "--strict", "--cfg", "--before", "--out"),
}


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_is_explained(hook: str) -> None:
    text = (DOCS / "guides" / "plugins.md").read_text(encoding="utf-8")
    row = re.search(rf"^\| `{hook}\(\)` \|.*\|.*\w.*\|$", text, re.MULTILINE)
    assert row or re.search(rf"^- `{hook}\([\w, ]+\)`: \w.{{20,}}", text, re.MULTILINE)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_explained_with_an_example_and_its_options(name: str) -> None:
    text = section((DOCS / "guides" / "commands.md").read_text(encoding="utf-8"), f"`mgbench {name}`")
    prose = re.sub(r"```.*?```|<!--.*?-->", "", text, flags=re.DOTALL)
    assert len(prose.split()) >= 8
    assert f"\nmgbench {name}" in text
    assert f"<!-- options of {name} -->" in text


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_has_a_sentence_on_its_page(name: str) -> None:
    shown = commands.options(name)
    for param in COMMANDS[name].params:
        spelled = param.metavar if param.param_type_name == "argument" else param.opts[0]
        row = next(row for row in shown.splitlines() if f"`{spelled or param.name.upper()}`" in row)
        assert re.search(r"\w{2}", row.rpartition(" | ")[2]), f"{name} {spelled} says nothing of itself"


def test_every_option_that_the_docs_name_exists() -> None:
    whole: Any = typer.main.get_command(app)
    params = [*whole.params, *(param for command in COMMANDS.values() for param in command.params)]
    known = {name for param in params for name in (*param.opts, *param.secondary_opts)}
    for page in (ROOT / "README.md", *DOCS.rglob("*.md")):
        text = re.sub(r"^ *```.*?^ *```$", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
        spans = re.findall(r"`([^`\n]+)`", text)
        named = {name for span in spans for name in re.findall(r"(?<![\w-])--[a-z][a-z-]+", span)}
        assert named <= known | OTHERS, page.name


@pytest.mark.parametrize("kind", registry_kinds())
def test_every_component_has_a_section_with_what_it_is_and_its_options(kind: str) -> None:
    page = kinds.pages()[f"kinds/{kind}.md"]
    for name, offer in kinds.registry().names(kind).items():
        text = section(page, f"`{name}` {{#{name}}}")
        assert len(re.sub(r"<figure.*?</figure>|\?\?\?.*", "", text, flags=re.DOTALL).split()) >= 6, name
        for option in options(offer.maker):
            row = re.search(rf"^\| `{option['name']}` \| (.+?) \| .*$", text, re.MULTILINE)
            assert row, (name, option["name"])
            assert row[1].replace("\\", "") == in_words(option["type"])


def test_every_method_and_every_plugin_has_its_place() -> None:
    pages = methods.pages()
    for plugin, recipes in kinds.registry().recipes.items():
        for method in recipes:
            assert f"### `{method}` {{#{method}}}" in pages[f"methods/{plugin}.md"]
    assert {path.stem for path in (ROOT / "plugins").glob("*.py")} - {"__init__"} == {
        name.removeprefix("methods/").removesuffix(".md") for name in pages
    } - {"index"}


@pytest.mark.parametrize("kind", registry_kinds())
def test_the_table_of_the_readme_names_every_component(kind: str) -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    row = re.search(rf"^\| `{kind}` \|[^|]*\|(.*)\|$", text, re.MULTILINE)
    assert row
    assert set(re.findall(r"`(\w+)`", row[1])) == set(kinds.registry().names(kind))
