"""Build the wheel and the sdist, check them, and run the main job from the wheel alone, in another folder.

python scripts/package.py                # into dist/; the environment is made anew and filled from the registry
python scripts/package.py --offline      # with the packages of this environment instead
"""

import argparse
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
JOB = ("run", "--plugins", "emigm,maskgit", "--methods", "emigm,maskgit", "--devices", "cpu:1", "--quiet")
TINY = ("train_steps=20", "samples=50", "batch_size=16", "sampling_steps=2")
# Kept out of what is distributed.
STRANGE = ("tests/", "results/", "reports/", ".git")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--offline", action="store_true", help="build and run with the packages of this environment")
    options.add_argument("--output", type=Path, default=ROOT / "dist", help="folder of the wheel and the sdist")
    asked = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        wheel, sdist = build(Path(folder), asked.output, asked.offline)
        check_content(wheel, sdist)
        run_alone(wheel, Path(folder), asked.offline)
    print(f"{wheel.name} and {sdist.name}: built, checked, and run alone")


def build(folder: Path, output: Path, offline: bool) -> tuple[Path, Path]:
    """Build both from a copy of the files that git knows, and have twine check them."""
    source = folder / "source"
    for name in filter(None, said("git", "-C", str(ROOT), "ls-files", "-z").split("\0")):
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, source / name)
    isolation = ["--no-isolation"] if offline else []
    said(sys.executable, "-m", "build", "--outdir", str(output), *isolation, str(source))
    (wheel,), (sdist,) = (sorted(output.glob(f"mgbench-*{end}"))[-1:] for end in (".whl", ".tar.gz"))
    said(sys.executable, "-m", "twine", "check", "--strict", str(wheel), str(sdist))
    return wheel, sdist


def check_content(wheel: Path, sdist: Path) -> None:
    """The wheel has every file of the package and of the plugins that git knows, and nothing else of the project."""
    known = said("git", "-C", str(ROOT), "ls-files", "mgbench", "plugins").split()
    with zipfile.ZipFile(wheel) as file:
        names = set(file.namelist())
    packed = {
        name.replace("plugins/", "mgbench_plugins/", 1) if name.startswith("plugins/") else name for name in known
    }
    missing = sorted(packed - names)
    strange = sorted(name for name in names if name.startswith(STRANGE))
    if missing or strange:
        sys.exit(f"{wheel.name} lacks {missing[:5]}, and should not have {strange[:5]}")
    with tarfile.open(sdist) as file:
        if not any(name.endswith("/pyproject.toml") for name in file.getnames()):
            sys.exit(f"{sdist.name} has no pyproject.toml")


def run_alone(wheel: Path, folder: Path, offline: bool) -> None:
    """Install the wheel into an environment of its own, and run and report a tiny study from another folder."""
    venv.create(folder / "env", with_pip=not offline)
    python = folder / "env" / "bin" / "python"
    if offline:
        (site,) = (folder / "env").glob("lib/python*/site-packages")
        seen = [path for path in sys.path if path.endswith("site-packages")]
        # Behind the wheel, which is found first.
        site.joinpath("seen.pth").write_text("\n".join(seen) + "\n", encoding="utf-8")
        said(
            sys.executable, "-m", "pip", "--python", str(python), "install", "-q", "--no-index", "--no-deps", str(wheel)
        )
    else:
        said(str(python), "-m", "pip", "install", "-q", str(wheel))
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    place = said(str(python), "-c", "import mgbench; print(mgbench.__file__)", folder=elsewhere).strip()
    if not Path(place).is_relative_to(folder):
        sys.exit(f"mgbench comes from {place}, and not from the wheel")
    settings = [word for setting in TINY for word in ("--set", setting)]
    said(str(python), "-m", "mgbench", *JOB, *settings, folder=elsewhere)
    (page,) = elsewhere.glob("reports/*/index.html")
    print(f"the page has {page.stat().st_size:,} bytes")


def said(*command: str, folder: Path | None = None) -> str:
    """The output of a command, which ends well."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(command, cwd=folder, env=environment, text=True, capture_output=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


if __name__ == "__main__":
    main()
