"""`--help`, `--version`, `plugins` and `import mgbench` answer at once: they import neither torch nor what needs it."""

import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = (
    *("torch", "torchvision", "torch_fidelity", "cleanfid", "accelerate", "diffusers"),
    *("sklearn", "scipy", "pandas", "matplotlib", "seaborn"),
)
SCRIPT = """
import sys
sys.argv = ["mgbench", *sys.argv[1:]]
try:
    {body}
except SystemExit as end:
    code = end.code or 0
else:
    code = 0
loaded = [name for name in {heavy!r} if name in sys.modules]
print("LOADED", *loaded)
sys.exit(code)
"""


def loaded(body: str, *arguments: str, heavy: tuple[str, ...] = HEAVY) -> tuple[str, list[str]]:
    """What was printed, and which heavy modules were imported."""
    script = SCRIPT.format(body=body, heavy=heavy)
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments], capture_output=True, text=True, timeout=60, check=True
    )
    text, _, names = done.stdout.rpartition("LOADED")
    return text, names.split()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--help"], "Usage: mgbench"),
        (["-h"], "Usage: mgbench"),
        (["run", "--help"], "--plugins"),
        (["plan", "--help"], "--vary"),
        (["report", "--help"], "--published"),
        (["published", "--help"], "imagenet-512"),
        (["list", "--help"], "such as mask_schedule"),
        (["evaluate", "--help"], "--reference"),
        (["cite", "--help"], "BibTeX"),
        (["results", "--help"], "--export"),
        (["doctor", "--help"], "--mend"),
        (["--version"], "mgbench 0."),
        (["plugins", "--no-check"], "maskgit"),
        (["new-plugin", "--help"], "mask_schedule"),
        (["check", "--help"], "exp(rate=2)"),
        (["plugins", "--no-check", "--json"], '"emigm"'),
    ],
)
def test_a_light_command_imports_nothing_heavy(arguments: list[str], said: str) -> None:
    text, names = loaded("from mgbench.cli import main; main()", *arguments)
    assert said in text
    assert names == []


@pytest.mark.parametrize("arguments", [["--version"], ["--help"]], ids=" ".join)
def test_help_does_not_even_need_what_checks_recipes(arguments: list[str]) -> None:
    """pydantic takes as long to import as all the rest of the command line."""
    assert loaded("from mgbench.cli import main; main()", *arguments, heavy=("pydantic", "numpy"))[1] == []


@pytest.mark.parametrize(
    "body", ["import mgbench", "import mgbench.report", "from mgbench import Recipe, Spec, hookimpl, Unfit, UserError"]
)
def test_importing_the_package_imports_nothing_heavy(body: str) -> None:
    assert loaded(body)[1] == []


@pytest.mark.parametrize(
    "body",
    ["from mgbench.report import read_results, write_report, write_published", "from mgbench import read_results"],
)
def test_the_report_imports_no_torch(body: str) -> None:
    assert not {"torch", "torchvision", "accelerate", "diffusers", "sklearn"} & set(loaded(body)[1])


def test_the_module_is_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mgbench", "--version"], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.startswith("mgbench ")


def test_the_types_come_with_the_package() -> None:
    import mgbench

    assert (Path(mgbench.__file__).parent / "py.typed").is_file()


def test_a_command_seldom_searches_for_garbage_and_never_when_it_ends() -> None:
    script = """
import gc, sys
from mgbench.cli import main
often, sys.argv = gc.get_threshold()[0], ["mgbench", "--version"]
try:
    main()
except SystemExit:
    print(often, gc.get_threshold()[0], gc.get_freeze_count())
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    often, rarely, left = map(int, done.stdout.splitlines()[-1].split())
    assert rarely > 2 * often
    assert left > 0


def test_a_command_that_is_stopped_before_it_runs_ends_without_a_traceback() -> None:
    script = """
import sys
from mgbench.cli import main

class Stop:
    def find_spec(self, name, path=None, target=None):
        if name == "mgbench.cli.app":
            raise KeyboardInterrupt

sys.meta_path.insert(0, Stop())
main()
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")
