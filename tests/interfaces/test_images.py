"""Images that are read when they are asked for are what a tensor of them is."""

import dataclasses
import io
import sys
import threading
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from mgbench.components.tokenizers.autoencoders import Vq
from mgbench.components.tokenizers.multiscale import Multiscale
from mgbench.components.tokenizers.patches import KMeans, Patch
from mgbench.interfaces import images
from mgbench.interfaces.data import Features, ImageData
from mgbench.interfaces.images import (
    LazyImages,
    as_digests,
    as_found,
    batches,
    digest,
    each,
    fits,
    in_colour,
    in_memory,
)
from mgbench.interfaces.progress import Interrupted, Progress, StopRequest
from mgbench.stages.tokenize import encode

GREY = torch.randint(256, (50, 1, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
CPU = torch.device("cpu")


def lazily(tensor: Tensor, read: list[int] | None = None) -> LazyImages:
    """The images of a tensor, each read when it is asked for; `read` collects the places that were."""

    def one(place: int) -> Tensor:
        if read is not None:
            read.append(place)
        return tensor[place]

    shape = (tensor.shape[1], tensor.shape[2], tensor.shape[3])
    return LazyImages(one, torch.arange(len(tensor)), as_digests([digest(image) for image in tensor]), shape)


@pytest.mark.parametrize(
    "rows", [slice(3, 9), slice(None), slice(0, 50, 7), torch.tensor([4, 4, 0]), torch.arange(0), 7, -1]
)
def test_rows_are_those_of_the_tensor(rows: Tensor | slice | int) -> None:
    lazy = lazily(GREY)
    assert torch.equal(lazy[rows], GREY[rows])
    assert (lazy.shape, lazy.dtype, len(lazy)) == (GREY.shape, GREY.dtype, len(GREY))


def test_some_of_the_images_are_taken_unread() -> None:
    read: list[int] = []
    rows = torch.tensor([9, 2, 2])
    some = lazily(GREY, read).taken(rows)
    assert read == []
    assert torch.equal(in_memory(some), GREY[rows])
    assert torch.equal(some.digests, as_digests([digest(image) for image in GREY[rows]]))
    colour = in_colour(some)
    assert colour.shape == (3, 3, 8, 8)
    assert torch.equal(in_memory(colour), GREY[rows].expand(-1, 3, -1, -1))


@pytest.mark.parametrize("size", [1, 7, 25, 64])
def test_batches_are_those_of_the_tensor(size: int) -> None:
    found = list(batches(lazily(GREY), size))
    assert all(torch.equal(one, other) for one, other in zip(found, torch.split(GREY, size), strict=True))


def pools() -> set[threading.Thread]:
    """The threads of pools; those of other tests may live on."""
    return {thread for thread in threading.enumerate() if "ThreadPool" in thread.name}


def test_batches_are_read_ahead_and_not_all_at_once() -> None:
    before = pools()
    read: list[int] = []
    reading = batches(lazily(GREY, read), 5)
    next(reading)
    assert 5 <= len(read) <= 20
    reading.close()
    assert pools() <= before


def test_an_image_that_is_gone_is_an_error_and_no_wait() -> None:
    broken = dataclasses.replace(lazily(GREY), places=torch.arange(45, 55))
    with pytest.raises(IndexError):
        list(batches(broken, 4))


def test_the_fingerprint_is_of_every_pixel_label_and_their_order() -> None:
    labels = torch.arange(50) % 3

    def fingerprint(train: Tensor, names: Tensor = labels) -> str:
        return ImageData(lazily(train), names, lazily(GREY[:5]), None, ("a", "b", "c")).fingerprint

    changed = GREY.clone()
    changed[17, 0, 3, 3] += 1
    found = [fingerprint(GREY), fingerprint(changed), fingerprint(GREY.flip(0)), fingerprint(GREY, labels.flip(0))]
    assert len(set(found)) == 4
    assert fingerprint(GREY.clone()) == found[0]


def test_what_fits_is_measured_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "HELD_BYTES", GREY.numel())
    assert fits(GREY.shape)
    assert not fits((51, 1, 8, 8))


def test_work_for_each_is_in_order() -> None:
    def double(number: int) -> int:
        return 2 * number

    numbers: Sequence[int] = range(300)
    assert list(each(double, numbers, "doubling")) == [2 * number for number in numbers]


def test_work_for_each_is_counted_and_many_items_are_announced(capsys: pytest.CaptureFixture[str]) -> None:
    seen: list[tuple[int, int]] = []
    with images.watched_by(lambda done, total: seen.append((done, total))):
        assert list(each(str, range(3), "writing")) == ["0", "1", "2"]
    assert seen == [(1, 3), (2, 3), (3, 3)]
    assert list(each(abs, range(images._SHOWN_FROM - 1), "few")) == list(range(images._SHOWN_FROM - 1))
    assert capsys.readouterr().err == ""
    assert list(each(abs, range(images._SHOWN_FROM), "counting many")) == list(range(images._SHOWN_FROM))
    assert (capsys.readouterr().err, len(seen)) == ("mgbench: counting many\n", 3)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_what_is_found_one_by_one_is_counted_too(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[int, int]] = []
    with images.watched_by(lambda done, total: seen.append((done, total))):
        assert list(as_found(iter("abc"), "looking")) == ["a", "b", "c"]
    assert seen == [(1, 1), (2, 2), (3, 3)]
    for many in (images._SHOWN_FROM - 1, images._SHOWN_FROM):
        assert list(as_found(iter(range(many)), "looking")) == list(range(many))
    assert capsys.readouterr().err == "mgbench: looking\n"
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr("sys.stderr", Terminal())
    assert sum(1 for _ in as_found(iter(range(3 * images._SHOWN_FROM + 7)), "looking")) == 3 * images._SHOWN_FROM + 7
    assert "1,500" in sys.stderr.getvalue()  # type: ignore[attr-defined]


def test_a_request_to_stop_is_heard_within_one_file() -> None:
    before = pools()
    request, read = StopRequest(), list[int]()
    progress = Progress(stop=lambda: request.asked)

    def show(place: int) -> int:
        read.append(place)
        if place == 5:
            request.signalled()
        return place

    with images.watched_by(progress.seldom("read")), pytest.raises(Interrupted):
        list(each(show, range(5000), "reading"))
    # Files that threads had begun are finished, and no other is.
    assert len(read) < 1000
    assert pools() <= before


@pytest.mark.parametrize(
    "tokenizer", [Patch(), KMeans(codes=8), Multiscale(codes=16), Vq(codes=16, width=8, steps=3)], ids=str
)
def test_tokenizers_fit_and_encode_them_alike(tokenizer: Patch | KMeans | Multiscale | Vq) -> None:
    modules = [tokenizer.build((1, 8, 8)) for _ in range(2)]
    for module, given in zip(modules, (GREY, lazily(GREY)), strict=True):
        assert [step for step, _, _ in module.fit(given, 0)] == sorted({step for step, _, _ in module.fit(given, 0)})
    assert torch.equal(encode(modules[0], GREY, CPU), encode(modules[1], lazily(GREY), CPU))


def test_features_of_some_leave_their_images_unread() -> None:
    read: list[int] = []
    some = Features(torch.rand(50, 4), images=lazily(GREY, read)).taken(torch.tensor([3, 1]))
    assert read == []
    assert some.images is not None
    assert torch.equal(some.images[slice(None)], GREY[[3, 1]])
