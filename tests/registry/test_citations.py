import re

import pytest

from mgbench.interfaces.bibtex import by_key, field, key, papers
from mgbench.recipes.recipe import Recipe
from mgbench.registry.citations import references
from mgbench.registry.registry import HOOKS, Registry
from mgbench.registry.resolve import assemble
from tests.laws.registered import registry

ENTRIES = {name: entry for offered in registry().references.values() for name, entry in offered.items()}
DOCSTRINGS = {
    **{f"plugin {name}": text for name, text in registry().docstrings.items()},
    **{f"{kind} {name}": offer.maker.__doc__ or "" for kind in HOOKS for name, offer in registry().names(kind).items()},
}


@pytest.mark.parametrize("name", sorted(ENTRIES))
def test_an_entry_can_be_cited(name: str) -> None:
    entry = ENTRIES[name]
    fields = {what: field(entry, what) for what in ("title", "author", "year", "eprint")}
    assert all(fields.values()), fields
    assert key(entry) == name
    assert list(papers(fields["eprint"])) == [fields["eprint"]]
    # The number of a paper says when it was sent in.
    assert fields["year"] == f"20{fields['eprint'][:2]}"
    # BibTeX prints "others" as "et al.".
    assert all(re.fullmatch(r"[^,]+, [^,]+|others", author) for author in fields["author"].split(" and "))
    assert entry.count("{") == entry.count("}")
    assert set(re.findall(r"^\s*(\w+)\s*=", entry, re.MULTILINE)) == {*fields, "archivePrefix"}


def test_a_paper_has_one_entry() -> None:
    numbers = [field(entry, "eprint") for entry in ENTRIES.values()]
    assert len(set(numbers)) == len(numbers)


@pytest.mark.parametrize("owner", sorted(DOCSTRINGS))
def test_every_paper_that_a_docstring_names_has_an_entry(owner: str) -> None:
    known = {field(entry, "eprint") for entry in ENTRIES.values()}
    assert set(papers(DOCSTRINGS[owner])) <= known


def test_a_plugin_of_methods_names_a_paper_and_has_the_entry_of_it_alone() -> None:
    """Its sizes for other data may be a plugin of their own, which names the paper again."""
    for plugin, recipes in registry().recipes.items():
        named = set(papers(registry().docstrings[plugin]))
        brought = {field(entry, "eprint") for entry in registry().references.get(plugin, {}).values()}
        of_another = not brought and registry().sources[plugin].name.endswith("_imagenet")
        assert recipes
        assert named & ({field(entry, "eprint") for entry in ENTRIES.values()} if of_another else brought), plugin


def cited(method: str, recipe: Recipe, of: Registry | None = None) -> dict[str, str]:
    """The entries by their keys, and who asks for each."""
    text = references(of or registry(), [(method, assemble(registry(), recipe).spelled)])
    asked = {name: who for who, name in re.findall(r"^% (.*)\n@misc\{([\w]+),", text, re.MULTILINE)}
    assert list(by_key(text)) == list(asked)
    return asked


def test_a_method_cites_its_paper_and_those_of_its_parts() -> None:
    found = cited("mar", registry().recipes["mar"]["mar"])
    assert found["li2024autoregressive"].startswith("mar, ")
    assert "masking truncnorm" in found["li2024autoregressive"]
    assert "mask_schedule cosine" in found["chang2022maskgit"]
    assert "metric fid" in found["heusel2017gans"]


def test_what_is_not_used_is_not_cited() -> None:
    plain = Recipe.of(mask_schedule="linear", sampling_schedule="linear")
    assert "you2025effective" not in {name for name, who in cited("x", plain).items() if "schedule" in who}
    other = cited("x", plain.change(mask_schedule="exp"))
    assert "mask_schedule exp" in other["you2025effective"]


def test_inner_components_are_cited_too() -> None:
    recipe = Recipe.of(guidance_schedule="interval(low=0.1, high=0.5, inner=power_cosine)")
    assert "guidance_schedule" in cited("x", recipe)["weber2024maskbit"]


def test_a_component_that_names_no_paper_belongs_to_that_of_its_file() -> None:
    recipe = Recipe.of(masking="shared", sampling_schedule="linear", mask_schedule="linear")
    assert "masking shared" in cited("x", recipe)["you2025effective"]


def test_a_paper_without_an_entry_is_named() -> None:
    bare = Registry(registry().offers, registry().recipes, {}, registry().docstrings)
    spelled = assemble(registry(), registry().recipes["mar"]["mar"]).spelled
    assert "% arXiv:2406.11838, which no plugin has an entry for" in references(bare, [("mar", spelled)])
