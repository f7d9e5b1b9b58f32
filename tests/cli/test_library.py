"""`import mgbench` gives plan, run, load_model and sample, which share results with the command line."""

import importlib
import inspect
import json
from pathlib import Path

import pytest
import torch

import mgbench
from mgbench import report
from mgbench.recipes.kinds import EVERY_KIND
from tests.cli.conftest import Command

NOTEBOOK = Path(__file__).parents[2] / "docs" / "tutorials" / "library.ipynb"
TINY = mgbench.Recipe().change(
    tokenizer="patch(size=4)",
    network="mae(width=16, depth=1, heads=2)",
    head="diffusion(width=16, depth=1, noise_samples=1)",
    solver="dpmpp_multistep(steps=2)",
    train_steps=6,
    batch_size=16,
    samples=20,
    metrics=("fid",),
)


@pytest.mark.parametrize("module", [mgbench, report], ids=lambda module: module.__name__)
def test_every_name_on_the_door_is_there_and_documented(module) -> None:
    assert set(module.__all__) <= set(dir(module)) | set(module._HOMES)
    for name in module.__all__:
        assert inspect.getdoc(getattr(module, name)), name
    assert set(module._HOMES) == set(module.__all__)


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        _ = importlib.import_module("mgbench").trian


@pytest.mark.slow
def test_plan_run_load_and_sample_share_results_with_the_command_line(tmp_path: Path, mgbench: Command) -> None:
    import mgbench as library

    study = library.Study("tiny", {"mine": TINY}, {"sampling_steps": (1, 2)})
    planned = library.plan(study)
    assert list(planned["sampling_steps"]) == [1, 2]
    assert not planned["reused"].any()
    assert not list(tmp_path.iterdir())
    frame = library.run(study, devices="cpu:1")
    assert list(frame["status"]) == ["done"] * 3
    assert library.plan(study)["reused"].all()
    assert library.run(study)["key"].tolist() == frame["key"].tolist()
    model = library.load_model("mine", sampling_steps=2)
    images, labels = library.sample(model, 5)
    assert (images.shape, images.dtype, labels.shape) == ((5, 1, 8, 8), torch.uint8, (5,))
    assert torch.equal(library.sample(model, 3, batch=2)[0], images[:3])
    assert mgbench("show", "tiny").code == 0
    with pytest.raises(library.UserError, match="decides the model"):
        library.load_model("mine", train_steps=7)
    with pytest.raises(library.UserError, match="ask for at least 1"):
        library.sample(model, 0)


@pytest.mark.slow
def test_the_notebook_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import matplotlib as mpl

    monkeypatch.chdir(tmp_path)
    with mpl.rc_context({"backend": "agg"}):
        names: dict[str, object] = {}
        for cell in json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]:
            if cell["cell_type"] == "code":
                exec(compile("".join(cell["source"]), str(NOTEBOOK), "exec"), names)
    assert (names["frame"]["status"] == "done").all()  # type: ignore[index]
    assert len(names["images"]) == 16  # type: ignore[arg-type]


def test_the_package_gives_the_protocol_of_every_kind_with_its_description() -> None:
    protocols = {kind.protocol for kind in EVERY_KIND.values()}
    assert protocols <= set(mgbench.__all__)
    assert all(getattr(mgbench, name).__doc__ for name in protocols)
    assert set(mgbench.__all__) <= set(dir(mgbench))
