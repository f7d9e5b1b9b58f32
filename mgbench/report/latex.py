"""Files for a paper: the table in four formats, BibTeX entries, and a paragraph for the methods section."""

from pathlib import Path

import pandas as pd

from mgbench.report.frame import POINT, REPEAT, of_images, score_names, spell, taught
from mgbench.report.measures import cost_short, higher_is_better, number, score_name, with_interval
from mgbench.report.paired import BEST, TIED, standing
from mgbench.report.spread import sampling_spread
from mgbench.report.table import TABLE_COSTS, best_per_series, metrics_of, steps_said, summary_table

_ESCAPES = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "±": r"$\pm$", "†": r"$\dagger$", "γ": r"$\gamma$", "–": "--",
}  # fmt: skip


def paper_table(frame: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Each series at its best number of steps by the first score: the texts of cells, and marks for the best and tied
    ones.

    A series ties with the best of a column if the 95 % interval of their difference, paired by seed, contains 0.
    """
    table = summary_table(frame, allow_mismatch=True)
    metrics = metrics_of(table)
    if metrics:
        best = best_per_series(frame, table, metrics[0])
        table = pd.concat([best, table[~table["series"].isin(best["series"])].drop_duplicates("series")])
    shown = pd.DataFrame({"method": table["series"], "steps": steps_said(table)})
    for cost in (name for name in TABLE_COSTS if name in table):
        shown[cost_short(cost)] = table[cost].map(number).to_numpy()
    signs = pd.DataFrame("", index=shown.index, columns=shown.columns)
    for metric in metrics:
        columns = zip(table[metric], table[f"{metric} low"], table[f"{metric} high"], strict=True)
        name = score_name(frame, metric)
        shown[name] = [with_interval(*values) for values in columns]
        signs[name] = standing(frame, table, metric, higher_is_better(frame, metric))
    shown["N"] = table["images"].map(number).to_numpy()
    return shown, signs.reindex(columns=shown.columns, fill_value="")


def as_markdown(shown: pd.DataFrame, signs: pd.DataFrame) -> str:
    """The table in Markdown: the best in bold, what ties with it in italics."""
    marks = {BEST: "**", TIED: "*", "": ""}
    rows = [
        [
            f"{marks[sign]}{text.replace('|', chr(92) + '|')}{marks[sign]}"
            for text, sign in zip(cells, mark, strict=True)
        ]
        for cells, mark in zip(shown.to_numpy(str), signs.to_numpy(str), strict=True)
    ]
    lines = [list(shown.columns), ["---", *["--:"] * (shown.shape[1] - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + f"\n\n{_note(shown, signs)}\n"


def as_latex(shown: pd.DataFrame, signs: pd.DataFrame) -> str:
    """The table for LaTeX with booktabs: the best in bold, what ties with it underlined."""
    marks = {BEST: r"\textbf{%s}", TIED: r"\underline{%s}", "": "%s"}
    rows = [
        " & ".join(marks[sign] % escape(text) for text, sign in zip(cells, mark, strict=True)) + r" \\"
        for cells, mark in zip(shown.to_numpy(str), signs.to_numpy(str), strict=True)
    ]
    columns = "l" + "r" * (shown.shape[1] - 1)
    heads = " & ".join(map(escape, shown.columns)) + r" \\"
    body = [
        rf"\begin{{tabular}}{{{columns}}}",
        r"\toprule",
        heads,
        r"\midrule",
        *rows,
        r"\bottomrule",
        r"\end{tabular}",
    ]
    return "\n".join([r"% \usepackage{booktabs}", f"% {_note(shown, signs)}", *body]) + "\n"


def escape(text: str) -> str:
    """Escape text for LaTeX."""
    return "".join(_ESCAPES.get(letter, letter) for letter in text)


def _note(shown: pd.DataFrame, signs: pd.DataFrame) -> str:
    said = ["N: images scored."]
    certain = any("±" in text for text in shown.to_numpy(str).ravel())
    if certain:
        said.insert(0, "Mean ± half of the 95 % interval over seeds (Student's t).")
    if bool((signs == BEST).to_numpy().any()):
        said.append("Bold: best." if certain else "Bold: best, with one seed, so differences may be due to chance.")
    if bool((signs == TIED).to_numpy().any()):
        said.append(
            "Marked: no significant difference from the best (95 % interval of the difference, paired by seed)."
        )
    return " ".join(said)


def methods_text(frame: pd.DataFrame) -> str:
    """A paragraph for the methods section: data, protocol, methods, budget, seeds and hardware, all from the records."""
    rows = of_images(frame)
    rows = rows[rows["status"] == "done"]
    if rows.empty:
        return "No row has finished yet.\n"
    seeds = rows[REPEAT].nunique()
    data = [
        f"We compare {_names(rows['series'])} on {_names(rows['dataset'])} (data fingerprint {_names(rows['data'])}).",
        _training(rows),
        _taught(rows),
        f"Images were drawn in {_list(rows[POINT])} steps.",
        f"There {'is 1 seed' if seeds == 1 else f'are {seeds} seeds'} ({_list(rows[REPEAT])}); "
        "a seed determines initial weights, training order, labels and noise, so methods are compared on the same draws.",
        _samplings(rows),
        f"Scores ({_names(pd.Series([score_name(rows, name) for name in score_names(rows)]))}) follow the protocol "
        f"{_names(rows['protocol'])}: data, reference split, number of samples, balance of labels, pixel format, extractor.",
        "We report means and 95 % intervals over seeds (Student's t).",
        _hardware(rows),
    ]
    command = f"\nReproduce with:\n\n    {frame.attrs['command']}\n" if frame.attrs.get("command") else ""
    return "# Methods\n\n" + " ".join(filter(None, data)) + "\n" + command


def _samplings(rows: pd.DataFrame) -> str:
    """A sentence on models that were sampled with several seeds; nothing where none was."""
    spread = sampling_spread(rows)
    if spread.empty:
        return ""
    counts = sorted(set(spread["sampling seeds"]))
    said = str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    return (
        f"Models were sampled with {said} sampling seeds each, over which scores are averaged first, because they are not "
        "replicates of training."
    )


def _training(rows: pd.DataFrame) -> str:
    """A sentence on the training of the models, and one on those that were not trained here."""
    given = rows["weights"].fillna("") != "" if "weights" in rows else pd.Series(False, rows.index)
    trained, names = rows[~given], _names(rows.loc[given, "series"])
    imported = f"The weights of {names} were imported." if given.any() else ""
    if trained.empty:
        return imported
    said = (
        f"Each model was trained for {_range(trained['train_steps'])} steps of {_range(trained['batch_size'])} images "
        f"at a learning rate of {_range(trained['learning_rate'])}."
    )
    return f"{said} {imported}".strip()


def _taught(rows: pd.DataFrame) -> str:
    """A sentence on each teacher and the series that learn from it; nothing where none does."""
    pupils = taught(rows)
    return " ".join(
        f"{_names(pd.Series(series))} learn{'s' * (len(series) == 1)} from a teacher, {teacher}, whose training comes before "
        "and is not counted in theirs."
        for teacher, series in pupils.items()
    )


def _hardware(rows: pd.DataFrame) -> str:
    where = _names(rows["device"]) if "device" in rows else "an unnamed device"
    versions = [f"{name} {_names(rows[name])}" for name in ("mgbench", "torch", "python") if name in rows]
    time = ""
    if "train_seconds" in rows:
        models = rows.drop_duplicates("training_key")
        time = (
            f" Training took {number(float(pd.to_numeric(models['train_seconds']).sum()) / 3600)} device hours in all."
        )
    return f"All ran on {where} with {', '.join(versions)}.{time}"


def _names(values: pd.Series) -> str:
    found = list(dict.fromkeys(spell(value) for value in values.dropna()))
    if len(found) > 8:
        return f"{', '.join(found[:6])} and {len(found) - 6} more"
    return ", ".join(found[:-1]) + (" and " if len(found) > 1 else "") + found[-1] if found else "none"


def _range(values: pd.Series) -> str:
    found = sorted({float(value) for value in values.dropna()})
    return f"{found[0]:g}" if len(found) == 1 else f"{found[0]:g} to {found[-1]:g}"


def _list(values: pd.Series, most: int = 12) -> str:
    found = sorted({int(value) for value in values.dropna()})
    return ", ".join(map(str, found[:most])) + (" …" if len(found) > most else "")


def write_tables(frame: pd.DataFrame, output: Path) -> None:
    """Write `table.md`, `table.tex`, `methods.md`, `table.parquet`; also `references.bib` and `packages.txt` where stored."""
    shown, signs = paper_table(frame)
    texts = {
        "table.md": as_markdown(shown, signs),
        "table.tex": as_latex(shown, signs),
        "methods.md": methods_text(frame),
    }
    if references := str(frame.attrs.get("references", "") or "").strip():
        texts["references.bib"] = references + "\n"
    if packages := frame.attrs.get("packages"):
        texts["packages.txt"] = "\n".join(packages) + "\n"
    for name, text in texts.items():
        (output / name).write_text(text, encoding="utf-8")
    _write_parquet(frame, output / "table.parquet")


def _write_parquet(frame: pd.DataFrame, path: Path) -> None:
    plain = frame.copy()
    plain.attrs = {}
    for name in plain:
        if plain[name].dtype == object:
            plain[name] = [value if value is None or value != value else spell(value) for value in plain[name]]
    plain.to_parquet(path, index=False)
