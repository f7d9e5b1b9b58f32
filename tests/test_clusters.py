"""The files that start clusters: what can be checked of them without one."""

import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest
import typer
import yaml

from mgbench.cli.app import app

DOCS = Path(__file__).resolve().parents[1] / "docs"
SCRIPT, JOB, PAGE = (
    DOCS / "clusters" / "mgbench.sbatch",
    DOCS / "clusters" / "kuberay.yaml",
    DOCS / "guides" / "clusters.md",
)
# What the script calls, written down instead of done.
NOTE = '#!/bin/bash\necho "$(basename "$0") $*" >> "$CALLS"\n'
COMMANDS = {
    "scontrol": "echo node1; echo node2; echo node3\n",
    "srun": 'echo "10.0.0.7 fe80::1"\n',
    "ray": "exit 0\n",
    # Not before those that were started in the background have noted their calls: the script does not wait for them.
    "mgbench": """echo "address $RAY_ADDRESS" >> "$CALLS"
until (($(grep -c ^srun "$CALLS") == (SLURM_JOB_NUM_NODES > 1 ? 3 : 2))); do sleep 0.05; done
exit 3
""",
}
WAITS = "trap 'exit 130' TERM\ntouch \"$CALLS.ready\"\nwhile true; do sleep 0.1; done\n"


def start(folder: Path, mgbench: str = COMMANDS["mgbench"], nodes: int = 3) -> subprocess.Popen[bytes]:
    for name, does in {**COMMANDS, "mgbench": mgbench}.items():
        (folder / name).write_text(NOTE + does)
        (folder / name).chmod(0o755)
    known = {
        "SLURM_JOB_NODELIST": "node[1-3]",
        "SLURM_JOB_ID": "123456",
        "SLURM_JOB_NUM_NODES": str(nodes),
        "SLURM_CPUS_PER_TASK": "8",
        "SLURM_GPUS_ON_NODE": "2",
        "CALLS": str(folder / "calls"),
    }
    path = f"{folder}{os.pathsep}{os.environ['PATH']}"
    return subprocess.Popen(["bash", SCRIPT, "study.toml", "--name", "a b"], env={**os.environ, **known, "PATH": path})


def calls(folder: Path) -> list[str]:
    return (folder / "calls").read_text().splitlines()


def test_the_script_starts_a_head_and_workers_and_the_command(tmp_path: Path) -> None:
    assert start(tmp_path).wait(30) == 3, "the exit code is that of the command"
    said = calls(tmp_path)
    address = "10.0.0.7:23456"
    assert "mgbench run study.toml --name a b --engine ray --address auto" in said
    assert f"address {address}" in said
    (head,) = [call for call in said if "ray start --head" in call]
    assert "--nodelist=node1" in head
    assert "--node-ip-address=10.0.0.7 --port=23456" in head
    (workers,) = [call for call in said if f"ray start --block --address={address}" in call]
    assert "--nodes=2 --ntasks=2 --ntasks-per-node=1 --exclude=node1" in workers
    for call in (head, workers):
        assert "--num-cpus=8 --num-gpus=2" in call


def test_on_one_node_there_are_no_workers(tmp_path: Path) -> None:
    assert start(tmp_path, nodes=1).wait(30) == 3
    assert not [call for call in calls(tmp_path) if "--exclude" in call]


def test_the_end_of_the_time_is_told_to_the_command(tmp_path: Path) -> None:
    script = start(tmp_path, WAITS)
    while not (tmp_path / "calls.ready").exists():
        assert script.poll() is None
        time.sleep(0.05)
    script.send_signal(signal.SIGTERM)
    assert script.wait(30) == 130


def test_the_job_of_kuberay_reads_as_one() -> None:
    (job,) = yaml.safe_load_all(JOB.read_text(encoding="utf-8"))
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    cluster = job["spec"]["rayClusterSpec"]
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    images = set()
    for pod in (group["template"]["spec"] for group in groups):
        (container,) = pod["containers"]
        images.add(container["image"])
        assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in pod["volumes"]}
    assert len(images) == 1, "the same code on every node"


@pytest.mark.parametrize("path", [SCRIPT, JOB, PAGE], ids=lambda path: path.name)
def test_the_options_it_gives_the_command_exist(path: Path) -> None:
    text = path.read_text(encoding="utf-8").replace("\n    --", " --")
    lines = re.findall(r"mgbench(?:\.sbatch [^ ]+| run) .*--.*", text)
    assert lines
    group = typer.main.get_command(app)
    known = {name for item in group.commands["run"].params for name in item.opts}  # type: ignore[attr-defined]
    assert {name for line in lines for name in re.findall(r"--[a-z-]+", line)} <= known


def test_the_page_links_to_what_there_is() -> None:
    links = re.findall(r"\]\((?!https:)([^)#]+)\)", PAGE.read_text(encoding="utf-8"))
    named = {(PAGE.parent / link).resolve() for link in links}
    assert {SCRIPT, JOB} <= named
    assert all(path.is_file() for path in named)
