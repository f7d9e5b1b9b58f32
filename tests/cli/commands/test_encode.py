"""`mgbench encode` and `mgbench prepare`: what a study needs, beforehand; and a data set in files, from files to report."""

from pathlib import Path

import pytest

from mgbench.components.extractors.inception import Inception
from mgbench.components.tokenizers.pretrained import PretrainedKl
from mgbench.results.store import Store
from tests import doubles, files
from tests.cli.conftest import Command

TINY = ("--plugins", doubles.FILE, "--methods", "tiny")
SMALL = ("--set", "train_steps=5", "--set", "samples=20", "--set", "extractor=mnist_cnn", "--set", "sampling_steps=2")


def test_tokens_are_encoded_once_for_all_rows_that_read_them(mgbench: Command, tmp_path: Path) -> None:
    given = (*TINY, "--vary", "train_steps=5,6", "--set", "mirror=true", "--devices", "cpu:1")
    answer = mgbench("encode", *given)
    assert answer.code == 0, answer.err
    plain, mirrored = answer.out.splitlines()
    assert plain.startswith("digits through patch(size=4): 1,297 × 4 tokens, 16 numbers (float32), ")
    assert "4 tokens of mirror images, " in mirrored
    assert "there already" not in answer.out
    store = Store(tmp_path / "results")
    folders = list((tmp_path / "results" / "tokens").iterdir())
    assert len(folders) == 2
    assert all(store.complete(folder) for folder in folders)
    assert mgbench("encode", *given).out.count("there already") == 2
    assert mgbench("doctor").code == 0


@pytest.mark.slow
def test_two_processes_encode_on_two_devices(mgbench: Command, tmp_path: Path) -> None:
    answer = mgbench("encode", *TINY, "--devices", "cpu:2")
    assert answer.code == 0, answer.err
    (folder,) = (tmp_path / "results" / "tokens").iterdir()
    assert Store(tmp_path / "results").complete(folder)


def test_a_study_that_trains_on_nothing_says_so(mgbench: Command) -> None:
    answer = mgbench("encode", *TINY, "--set", "tokenizer=patch(size=3)", "--devices", "cpu:1")
    assert answer.code == 2
    assert "nothing of this study is trained on tokens" in answer.err


def test_prepare_computes_what_check_then_finds(mgbench: Command) -> None:
    before = mgbench("prepare", *TINY, "--check")
    assert before.code == 1
    assert "missing: what scores ask of real images, digits through digits_cnn, is not in results" in before.out
    done = mgbench("prepare", *TINY, "--device", "cpu")
    assert done.code == 0, done.err
    assert "digits: 1,297 and 500 images of 1x8x8, 10 classes, held in memory" in done.out
    assert "digits through digits_cnn: 20 held-out ones score fid[digits_cnn] " in done.out
    after = mgbench("prepare", *TINY, "--check")
    assert (after.code, after.out.splitlines()[-1]) == (0, "everything is there")


def test_files_that_cannot_be_had_are_said_and_a_check_fetches_nothing(
    mgbench: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from torchvision import datasets

    asked: list[Path] = []

    def publisher(folder: Path, download: bool) -> None:
        asked.append(folder)
        raise OSError("no network")

    publisher.classes = datasets.FashionMNIST.classes  # type: ignore[attr-defined]
    monkeypatch.setattr(datasets, "FashionMNIST", publisher)
    given = (*TINY, "--set", f"dataset=fashion_mnist(path={tmp_path}/nowhere)")
    checked = mgbench("prepare", *given, "--check")
    assert (checked.code, asked) == (1, [])
    assert "missing: there is no file" in checked.out
    assert "'mgbench prepare' fetch" in checked.out
    fetched = mgbench("prepare", *given)
    assert (fetched.code, asked) == (2, [tmp_path / "nowhere"])
    assert "the files of FashionMNIST could not be fetched: no network" in fetched.err


def test_weights_of_tokenizer_and_extractor_are_fetched_before_anything_is_read(
    mgbench: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []
    monkeypatch.setattr(PretrainedKl, "fetch", lambda self: asked.append(self))
    monkeypatch.setattr(Inception, "fetch", lambda self: asked.append(self))
    given = (*TINY, "--set", "dataset=image_folder(path=nowhere)", "--set", "tokenizer=pretrained_kl(path=some/kl)")
    said = mgbench("prepare", *given)
    assert asked == [PretrainedKl("some/kl"), Inception()], "the extractor is the usual one of the data set"
    assert "tokenizer=pretrained_kl(path='some/kl'): the files are there" in said.out
    assert mgbench("prepare", *given, "--check").code == 1
    assert len(asked) == 2


@pytest.mark.slow
def test_from_files_to_a_report_with_a_cache_of_tokens(mgbench: Command, tmp_path: Path) -> None:
    """On small files of the format of Fashion-MNIST, whose 60,000 images take minutes."""
    dataset = f"fashion_mnist(path={files.idx()})"
    given = (*TINY, "--set", f"dataset={dataset}", *SMALL)
    assert mgbench("encode", *given, "--devices", "cpu:1").code == 0
    (cache,) = (tmp_path / "results" / "tokens").glob("*/tokens-00000.npy")
    written = cache.stat().st_mtime_ns
    answer = mgbench("run", *given, "--devices", "cpu:1", "--quiet")
    assert answer.code == 0, answer.err
    assert [cache] == list((tmp_path / "results" / "tokens").glob("*/tokens-00000.npy"))
    assert cache.stat().st_mtime_ns == written
    assert list((tmp_path / "reports").glob("*/index.html"))
    assert "fid[mnist_cnn]" in next((tmp_path / "reports").rglob("*.csv")).read_text()
