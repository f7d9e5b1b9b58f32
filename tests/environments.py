"""Clean environments into which distributions are installed, without a network."""

import os
import subprocess
import sys
import venv
from pathlib import Path

INSTALL = ("-m", "pip", "install", "-q", "--no-index", "--no-deps", "--no-build-isolation")


def clean_environment(folder: Path) -> Path:
    """A new environment that sees the packages of this one, pip and setuptools among them; its Python."""
    venv.create(folder, with_pip=False)
    (site,) = folder.glob("lib/python*/site-packages")
    seen = [path for path in sys.path if path.endswith("site-packages")]
    site.joinpath("seen.pth").write_text("".join(f"import site; site.addsitedir({path!r})\n" for path in seen))
    return folder / "bin" / "python"


def ran(*command: str | Path, folder: Path, code: int = 0) -> str:
    """What a command printed, which ends with this code."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    done = subprocess.run(
        list(map(str, command)), cwd=folder, capture_output=True, text=True, timeout=500, check=False, env=environment
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout
