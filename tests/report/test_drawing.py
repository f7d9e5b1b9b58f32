"""Pictures drawn by several processes are those that one process draws."""

import ast
import os
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from mgbench.report import figures
from mgbench.report.figures import gallery
from mgbench.report.measures import slug
from mgbench.report.page import drawing
from mgbench.report.page.drawing import EACH, draw_pictures
from mgbench.report.stored import read_stored
from tests.report.synthetic import grid, store, store_curve, store_images


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    root = tmp_path_factory.mktemp("drawn")
    records = grid(steps=(1, 4, 16), seeds=range(1))
    store(root, *records)
    for item in records:
        store_images(root, item)
        store_curve(root, item, 100)
    return gallery(read_stored(root))


def files(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_two_processes_draw_what_one_draws(pictures, tmp_path):
    assert len(pictures) >= 2 * EACH
    empty = replace(pictures[0], stem="nothing", draw=type(None))
    every = [empty, *pictures, empty]
    one = draw_pictures(every, tmp_path / "one")
    assert draw_pictures(every, tmp_path / "two", processes=2) == one
    assert len(one) == len(pictures)
    assert files(tmp_path / "two") == files(tmp_path / "one")


def test_few_pictures_are_drawn_here(pictures, tmp_path, monkeypatch):
    monkeypatch.setattr(drawing, "context", None)
    assert len(draw_pictures(pictures[: 2 * EACH - 1], tmp_path, processes=8)) == 2 * EACH - 1


@pytest.mark.parametrize("place", [0, -1])
def test_what_goes_wrong_in_any_process_is_raised(pictures, tmp_path, place):
    wrong = [replace(picture, draw=type(None)) for picture in pictures]
    wrong[place] = replace(pictures[0], draw=broken)
    with pytest.raises(ZeroDivisionError):
        draw_pictures(wrong, tmp_path, processes=2)


def broken():
    return 1 / 0


# A process that is killed while a helper of it waits; it prints the number of the helper.
WAITS = """
import os, time
from concurrent.futures import ProcessPoolExecutor
from mgbench.machine import context
from mgbench.report.page.drawing import _begin
if __name__ == "__main__":
    pool = ProcessPoolExecutor(1, context(), _begin)
    print(pool.submit(os.getpid).result(), flush=True)
    time.sleep(60)
"""


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="this system does not list its processes in files")
def test_a_helper_ends_with_the_process_that_it_helps(tmp_path):
    script = tmp_path / "waits.py"
    script.write_text(WAITS)
    with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True) as parent:
        helper = int(parent.stdout.readline())
        ran = runs(helper)
        parent.kill()
    assert ran
    until = time.monotonic() + 30
    while runs(helper) and time.monotonic() < until:
        time.sleep(0.05)
    assert not runs(helper)


def runs(number):
    """Whether a process runs, rather than waits to be forgotten."""
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("path", sorted(Path(figures.__file__).parent.glob("*.py")), ids=lambda path: path.stem)
def test_every_picture_can_be_sent_to_another_process(path):
    """Its functions are partials of functions of a module."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    known = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    known |= {alias.name for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    for call in ast.walk(tree):
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "Picture":
            drawn = [call.args[5], *(word.value for word in call.keywords if word.arg == "animate")]
            for function in drawn:
                assert isinstance(function, ast.Call), ast.unparse(function)
                assert ast.unparse(function.func) == "partial"
                assert ast.unparse(function.args[0]) in known


def test_what_a_helper_leaves_when_it_is_ended_is_drawn_here(pictures, tmp_path):
    fatal = replace(pictures[0], draw=partial(drawn_in, os.getpid(), pictures[0].draw))
    drawn = draw_pictures([fatal, *pictures[1:]], tmp_path, processes=2)
    assert [item.id for item in drawn] == [slug(picture.name) for picture in pictures]


def drawn_in(number, draw):
    """The figure in this process; any other one ends."""
    return draw() if os.getpid() == number else os._exit(1)
