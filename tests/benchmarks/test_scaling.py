"""Points that were measured are not measured again, and the page of how cost grows says what the model of cost says."""

import json
import re
from pathlib import Path

import pytest

from benchmarks import projection, scaling

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "scaling.md").read_text(encoding="utf-8")


def test_a_run_that_was_stopped_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out, asked = tmp_path / "scaling.json", list[tuple[str, int]]()

    def point(axis: str, size: int) -> dict[str, float]:
        asked.append((axis, size))
        return {"seconds": float(size)}

    monkeypatch.setattr(scaling, "MEASURES", {axis: lambda size, axis=axis: point(axis, size) for axis in scaling.AXES})
    scaling.main(["--out", str(out), "--only", "rows", "--small"])
    scaling.main(["--out", str(out), "--only", "rows,processes"])
    assert asked == [("rows", 1_000), ("rows", 10_000), ("rows", 100_000), ("processes", 1), ("processes", 2)]
    found = json.loads(out.read_text())
    assert found["rows"]["10000"] == {"seconds": 1e4}
    assert found["environment"]["torch"]


def test_the_least_of_a_model_and_of_images_is_measured() -> None:
    drawn = scaling.of_images(50)
    assert set(drawn) == {"fid_seconds", "kid_seconds"}
    model = scaling.of_model("tokens")(4)
    assert set(model) == {"rate", "train_seconds", "train_flops", "sample_seconds", "sample_flops"}
    assert min(model.values()) > 0


def numbers(row: str) -> list[float]:
    return [float(found) for found in re.findall(r"\d[\d.]*", row)]


@pytest.mark.slow
def test_the_page_says_what_the_model_of_cost_says() -> None:
    """Within a tenth, as a change that saves some operations does not make the page wrong."""
    for row in projection.table(0.4).splitlines()[2:]:
        (written,) = [line for line in PAGE.splitlines() if line.startswith("|".join(row.split("|")[:3]))]
        assert numbers(written) == pytest.approx(numbers(row), rel=0.1, abs=0.1)
        assert written.split("|")[6] == row.split("|")[6], "what binds"
    said = re.search(r"from (\d+) GPUs on", " ".join(PAGE.split()))
    assert said is not None
    assert int(said[1]) == pytest.approx(projection.crossing(0.4), rel=0.1)
