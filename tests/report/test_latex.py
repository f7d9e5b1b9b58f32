from dataclasses import replace

import pandas as pd

from mgbench.report.frame import read_results
from mgbench.report.latex import as_latex, as_markdown, escape, methods_text, paper_table, write_tables
from mgbench.report.table import write_csv
from tests.report.synthetic import grid, record, store, tokenizer, unfinished

FID = "fid[digits_cnn]"


def scored(method, *scores):
    return [record(method, 8, seed, scores={FID: score}) for seed, score in enumerate(scores)]


def test_each_series_stands_at_its_best_with_its_interval(tmp_path):
    frame = read_results(store(tmp_path, *grid(), tokenizer()))
    shown, _ = paper_table(frame)
    assert list(shown["method"]) == list(frame["series"].unique())[:-1], "a tokenizer is no method"
    assert list(shown["steps"]) == ["32"] * 5
    assert all("±" in text for text in shown["FID[digits_cnn]"])


def test_the_best_is_marked_and_what_cannot_be_told_from_it(tmp_path):
    rows = [*scored("best", 1.0, 1.2, 1.1), *scored("tied", 1.2, 1.1, 1.15), *scored("worse", 2.0, 2.2, 2.1)]
    shown, signs = paper_table(read_results(store(tmp_path, *rows)))
    assert dict(zip(shown["method"], signs["FID[digits_cnn]"], strict=True)) == {
        "best": "best",
        "tied": "tied",
        "worse": "",
    }
    latex, markdown = as_latex(shown, signs), as_markdown(shown, signs)
    assert r"best & 8 & 12.8 & " in latex
    assert r"\textbf{1.10 $\pm$ 0.25}" in latex
    assert r"\underline{1.15 $\pm$ 0.12}" in latex
    assert latex.count(r"\toprule") == latex.count(r"\midrule") == latex.count(r"\bottomrule") == 1
    assert "| **1.10 ± 0.25** |" in markdown
    assert "| *1.15 ± 0.12* |" in markdown


def test_the_difference_is_paired_by_seed(tmp_path):
    """Every seed is worse by the same, so these are told apart although their intervals overlap."""
    rows = [*scored("best", 1.0, 5.0, 9.0), *scored("worse", 1.1, 5.1, 9.1)]
    _, signs = paper_table(read_results(store(tmp_path, *rows)))
    assert list(signs["FID[digits_cnn]"]) == ["best", ""]


def test_one_seed_ties_only_where_both_read_the_same(tmp_path):
    rows = [*scored("one", 1.101), *scored("same", 1.1011), *scored("worse", 1.2)]
    _, signs = paper_table(read_results(store(tmp_path, *rows)))
    assert list(signs["FID[digits_cnn]"]) == ["best", "tied", ""]


def test_latex_prints_names_as_they_are():
    assert escape("a_b & 50 % of {x} ± γ") == r"a\_b \& 50 \% of \{x\} $\pm$ $\gamma$"


def test_the_methods_say_data_protocol_budget_seeds_and_hardware(tmp_path):
    rows = [*grid(methods=("emigm", "maskgit"), steps=(4, 8)), unfinished("mar", 4, 0, "failed", "no memory")]
    text = methods_text(read_results(store(tmp_path, *rows)))
    for said in (
        "emigm and maskgit",
        "ab12cd34",
        "1000 steps of 64 images",
        "in 4, 8 steps",
        "3 seeds (0, 1, 2)",
        "cpu (2 cores)",
        "torch 2.11.0",
    ):
        assert said in text, said
    assert "mar" not in text.split()
    assert "teacher" not in text
    assert methods_text(read_results(store(tmp_path / "none", rows[-1]))) == "No row has finished yet.\n"


def test_the_methods_name_the_teacher_of_a_student(tmp_path):
    student = {"teacher": "maskgit(train_steps=1600)"}
    frame = read_results(store(tmp_path, *grid(methods=("emigm",)), record("dimo", 1, 0, recipe=student)))
    assert "dimo learns from a teacher, maskgit(train_steps=1600), whose training comes before" in methods_text(frame)


def test_the_references_are_those_that_are_stored(tmp_path):
    frame = read_results(store(tmp_path / "results", record()))
    write_tables(frame, tmp_path)
    assert not (tmp_path / "references.bib").exists()
    frame.attrs["references"] = "@article{you2025, title={eMIGM}}"
    write_tables(frame, tmp_path)
    assert (tmp_path / "references.bib").read_text() == "@article{you2025, title={eMIGM}}\n"


def test_what_was_installed_is_a_file_that_pip_reads(tmp_path):
    frame = read_results(store(tmp_path / "results", record()))
    write_tables(frame, tmp_path)
    assert not (tmp_path / "packages.txt").exists()
    frame.attrs["packages"] = ("numpy==2.1", "torch==2.11")
    write_tables(frame, tmp_path)
    assert (tmp_path / "packages.txt").read_text() == "numpy==2.1\ntorch==2.11\n"


def test_parquet_holds_every_row_and_column(tmp_path):
    frame = read_results(
        store(tmp_path / "results", record(), replace(record("maskgit"), warnings=["few"]), tokenizer())
    )
    write_tables(frame, tmp_path)
    again = pd.read_parquet(tmp_path / "table.parquet")
    assert list(again) == list(frame)
    assert again[FID].tolist() == frame[FID].tolist()
    write_csv(frame, tmp_path / "table.csv")
    assert len(pd.read_csv(tmp_path / "table.csv")) == 3
