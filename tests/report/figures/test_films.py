import io

import numpy as np
import pytest
from PIL import Image, ImageSequence

from mgbench.report.figures.films import MASKED, film_animation, film_strip, read_films
from mgbench.report.frame import read_results
from mgbench.results.layout import Layout
from tests.report.synthetic import record, store, store_film


def test_a_strip_has_a_row_per_series_and_covers_what_is_masked(results, frame):
    axes = film_strip(frame, Layout(results), 32).axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == list(frame["series"].unique())
    assert [label.get_text() for label in axes.get_xticklabels()] == ["1", "2", "3", "4"]
    board = np.asarray(axes.images[0].get_array())[..., :3]
    assert (board[2, 2] == 200).all(), "the first token is shown after the first step"
    assert any((board[2, 40] == grey).all() for grey in MASKED), "the second is not"
    assert (board[2, 3 * 67 + 40] == 200).all(), "at the end nothing is masked"


def test_an_animation_ends_with_the_finished_images(results, frame):
    film = Image.open(io.BytesIO(film_animation(frame, Layout(results), 32)))
    frames = [picture.convert("RGB") for picture in ImageSequence.Iterator(film)]
    assert len(frames) == 4
    assert film.info["loop"] == 0
    unlike = [int((np.asarray(picture) != np.asarray(frames[-1])).any(-1).sum()) for picture in frames]
    assert unlike == sorted(unlike, reverse=True)
    assert unlike[0] > unlike[2] > 0, "tokens are revealed one after the other"


@pytest.mark.parametrize("content", [None, b"PK cut short"])
def test_without_or_with_a_broken_film_there_is_none(tmp_path, content):
    item = record()
    frame = read_results(store(tmp_path, item))
    if content:
        (Layout(tmp_path).run(item.key) / "film.npz").write_bytes(content)
    assert film_strip(frame, Layout(tmp_path)) is None
    assert film_animation(frame, Layout(tmp_path)) is None


def test_tokens_without_a_grid_cover_nothing(tmp_path):
    item = record()
    frame = read_results(store(tmp_path, item))
    store_film(tmp_path, item, grid=None)
    (film,) = read_films(frame, Layout(tmp_path))
    assert (film.cells(0) == 200).all()
