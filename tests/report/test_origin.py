"""Where the numbers come from, as the page says it."""

from dataclasses import replace
from pathlib import Path

from mgbench.report import read_results
from mgbench.report.page.origin import environment
from tests.report.synthetic import ORIGIN, record, store


def test_every_plugin_of_any_row_is_told_once(tmp_path: Path) -> None:
    builtin = [f"part_{index} 0123456789ab (mgbench)" for index in range(8)]
    rows = [
        replace(record(), origin={**ORIGIN, "plugins": ["emigm aa (mgbench 0.3.0)", *builtin]}),
        replace(record("maskgit"), origin={**ORIGIN, "plugins": ["maskgit bb (mgbench 0.3.0)", *builtin]}),
        replace(record("mar"), origin=ORIGIN),
    ]
    said = dict(environment(read_results(store(tmp_path, *rows))))["plugins"]
    assert sorted(said.split(", ")) == sorted(["emigm aa (mgbench 0.3.0)", "maskgit bb (mgbench 0.3.0)", *builtin])


def test_memory_is_told_in_gibibytes_and_many_hosts_by_their_number(tmp_path: Path) -> None:
    rows = [
        replace(record(seed=seed), origin={**ORIGIN, "gpu_memory": 80 * 2**30, "host": f"node{seed}"})
        for seed in range(8)
    ]
    said = dict(environment(read_results(store(tmp_path, *rows))))
    assert said["gpu memory"] == "80 GiB"
    assert said["host"].endswith("and 2 more")
