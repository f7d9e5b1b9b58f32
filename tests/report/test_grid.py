"""The tables of the page as data, and the details of their rows."""

import shlex
from dataclasses import replace

import numpy as np
import pytest

from mgbench.cli.arguments.values import outline
from mgbench.recipes.recipe import Recipe
from mgbench.recipes.study import Study
from mgbench.report.frame import read_results
from mgbench.report.page.details import details, field
from mgbench.report.page.grid import grids
from mgbench.report.page.repeat import commands
from mgbench.report.summary import summarise
from mgbench.report.table import summary_table
from mgbench.results.layout import Layout
from tests.report.synthetic import grid, record, store, store_study, unfinished

FID = "fid[digits_cnn]"


def tables(frame):
    return {made.id: made for made in grids(frame, summary_table(frame))}


def column(made, head):
    return next(item for item in made.columns if item.head == head)


def test_there_is_a_table_of_bests_of_means_and_of_rows(tmp_path):
    frame = read_results(store(tmp_path, *grid(steps=(1, 4), seeds=range(3))))
    made = tables(frame)
    assert list(made) == ["best", "means", "rows"]
    assert [len(item.columns[0].cells) for item in made.values()] == [5, 10, 30]
    summary = summarise(frame, FID)
    np.testing.assert_allclose(column(made["means"], "FID[digits_cnn]").numbers, summary["mean"])
    np.testing.assert_allclose(column(made["means"], "FID[digits_cnn] low").numbers, summary["low"])
    assert "±" in column(made["means"], "FID[digits_cnn]").cells[0]
    assert column(made["means"], "FID[digits_cnn] low").hidden


def test_behind_a_mean_are_the_rows_of_its_seeds(tmp_path):
    frame = read_results(store(tmp_path, *grid(steps=(1, 4), seeds=range(3))))
    means = tables(frame)["means"]
    for place, members in enumerate(means.members):
        rows = frame.iloc[members]
        assert sorted(rows["seed"]) == [0, 1, 2]
        assert set(rows["series"]) == {means.columns[0].cells[place]}
        assert set(rows["sampling_steps"]) == {column(means, "steps").numbers[place]}


def test_the_best_at_each_number_of_steps_stands_out(tmp_path):
    frame = read_results(store(tmp_path, *grid(steps=(1, 4), seeds=range(1))))
    means = tables(frame)["means"]
    fid, steps = column(means, "FID[digits_cnn]"), column(means, "steps")
    for count in (1, 4):
        places = [place for place, value in enumerate(steps.numbers) if value == count]
        best = min(places, key=lambda place: fid.numbers[place])
        assert [place for place in places if place in fid.marked] == [best]


def test_what_varies_within_a_method_has_a_menu_and_what_sets_methods_apart_has_none(tmp_path):
    rows = [record(name, 4, recipe={"sampler": sampler}) for name in ("emigm", "maskgit") for sampler in ("a", "b")]
    made = tables(read_results(store(tmp_path, *rows)))["rows"]
    assert (column(made, "sampler").facet, column(made, "head").facet) == (True, False)
    assert column(made, "method").facet


def test_a_number_that_is_missing_is_none_and_a_dash(tmp_path):
    frame = read_results(store(tmp_path, record("emigm", 1), unfinished("emigm", 2, 0, "failed", "no memory")))
    fid = column(tables(frame)["rows"], "FID[digits_cnn]")
    assert fid.cells[1] == "–"
    assert fid.numbers[1] is None
    assert fid.as_data()["numbers"][1] is None


def test_a_field_says_each_text_once_and_nothing_where_there_is_none():
    assert field("a", ["x", "y", "x"]) == {"title": "a", "values": ["x", "y"], "codes": [0, 1, 0]}
    assert field("a", ["x", "x"]) == {"title": "a", "values": ["x"]}
    assert field("a", ["", "x", "", "y"]) == {"title": "a", "values": ["x", "y"], "codes": [-1, 0, -1, 1]}
    assert field("a", ["", ""]) == {"title": "a", "values": [], "codes": [-1, -1]}


def test_details_say_recipe_protocol_environment_costs_and_reason(tmp_path):
    failed = replace(unfinished("emigm", 2, 0, "failed", "no memory"), tail="  in loss\nMemoryError")
    rows = [record("emigm", 1), failed]
    root = store(tmp_path, *rows)
    store_study(root, "one", [(row.key, row.method) for row in rows], command="mgbench run --plugins emigm")
    groups = {group["title"]: group["fields"] for group in details(read_results(root, "one"), Layout(root))}
    assert list(groups) == [
        "To repeat it",
        "End of its log",
        "Remarks",
        "Recipe",
        "Scores",
        "Costs",
        "Protocol",
        "Environment",
    ]
    said = {item["title"]: item["values"] for fields in groups.values() for item in fields}
    assert said["reason"] == ["no memory"]
    assert said["tail"] == ["  in loss\nMemoryError"]
    assert said["real images, FID[digits_cnn]"] == ["6.3"]
    assert said["torch"] == ["2.11.0"]
    assert said["mask schedule"] == ["exp(rate=5.0)"]


RECIPES = {"emigm": Recipe.of(sampler="random_order"), "maskgit": Recipe.of(sampler="confidence", train_steps=7)}
STUDIES = [
    "mgbench run --plugins ours --seeds 0,1 --set batch_size=8",
    "mgbench run --plugins=ours --vary sampling_steps=1,4 --vary head=categorical,diffusion(width=32) --name=mine --seeds=3",
    "mgbench run --plugins ours --methods emigm --vary labels=true,false --vary metrics=[fid,kid],[fid]",
]


def asked(command):
    """The recipes that a command is about."""
    words = iter(shlex.split(command)[2:])
    given = {}
    for word in words:
        name, equals, value = word.partition("=")
        given.setdefault(name.removeprefix("--"), []).append(value if equals else next(words))
    lists = [given.get(name) for name in ("plugins", "set", "vary", "seeds", "methods")]
    study: Study = outline(None, *lists, given.get("name", [""])[-1]).study({"ours": RECIPES})
    return study.name, list(study.expand())


@pytest.mark.parametrize("command", STUDIES)
def test_the_command_of_a_row_asks_for_that_row_and_no_other(tmp_path, command):
    name, expanded = asked(command)
    rows = [record(method, recipe.sampling_steps, recipe.seed, recipe=recipe.spelled()) for method, recipe in expanded]
    store_study(store(tmp_path, *rows), name, [(row.key, row.method) for row in rows], command=command)
    for named in (name, None):
        frame = read_results(tmp_path, named)
        for row, text in zip(frame.to_dict("records"), commands(frame, Layout(tmp_path)), strict=True):
            repeated, recipes = asked(text)
            assert repeated == f"{name}-repeated"
            ((method, recipe),) = recipes
            assert method == row["method"]
            assert recipe.spelled() == {field: row[field] for field in recipe.spelled()}


def test_a_row_of_no_study_and_of_another_command_has_no_command(tmp_path):
    row = record()
    store(tmp_path, row)
    assert list(commands(read_results(tmp_path), Layout(tmp_path))) == [""]
    store_study(tmp_path, "odd", [(row.key, row.method)], command="./my-own-script 'unclosed")
    assert list(commands(read_results(tmp_path), Layout(tmp_path))) == [""]


def test_a_method_with_an_odd_name_stays_one_word(tmp_path):
    row = record("$(reboot) <b>")
    store_study(store(tmp_path, row), "s", [(row.key, row.method)], command="mgbench run --plugins ours")
    (text,) = commands(read_results(tmp_path, "s"), Layout(tmp_path))
    assert "--methods '$(reboot) <b>'" in text
