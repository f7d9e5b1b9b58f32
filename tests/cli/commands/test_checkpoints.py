"""Published checkpoints become methods that are sampled and scored, and come out as they came in."""

import json
import re
from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor

from mgbench.components.checkpoints.container import read_container
from mgbench.results.imported import imported_as
from mgbench.results.layout import Layout
from mgbench.results.maintenance.inventory import stored_records
from tests import halton
from tests.cli.conftest import Command
from tests.ldm import layout

GOLDEN = Path(__file__).parents[2] / "golden"
BOTH = pytest.mark.parametrize("name", ["emigm_ckpt_tiny", "mar_ckpt_tiny"])
HEADS = ("--set", "network.heads=4")


def content(path: Path) -> dict[str, Any]:
    with torch.serialization.safe_globals([Namespace]):
        found: dict[str, Any] = torch.load(path, weights_only=True)
    return found


def average() -> dict[str, Tensor]:
    return dict(read_container(GOLDEN / "emigm_ckpt_tiny.pth").trees["model_ema"])


@pytest.mark.parametrize("weights", ["model_ema", "model"])
@BOTH
def test_what_is_exported_is_what_was_imported(mgbench: Command, name: str, weights: str) -> None:
    path = GOLDEN / f"{name}.pth"
    assert mgbench("import", str(path), "--as", "theirs", "--weights", weights, *HEADS).code == 0
    assert mgbench("export", "theirs", "-o", "out.pth").code == 0
    before, after = content(path), content(Path("out.pth"))
    for tree in ("model", "model_ema"):
        assert before[tree].keys() == after[tree].keys()
        for title, value in before[tree].items():
            assert value.dtype == after[tree][title].dtype
            assert torch.equal(value, after[tree][title])
    assert (before["epoch"], before["args"]) == (after["epoch"], after["args"])


def test_an_autoencoder_that_is_exported_is_what_was_imported(mgbench: Command) -> None:
    state = layout()
    torch.save({"model": {**state, "loss.logvar": torch.zeros(1)}}, "kl.ckpt")
    assert mgbench("import", "kl.ckpt", "--as", "kl").code == 0
    for what, file in (("kl", "one.ckpt"), ("results/imported/kl", "two.ckpt")):
        said = mgbench("export", what, "-o", file)
        assert said.code == 0, said.err
        assert "in the layout latent diffusion" in said.out
        after = content(Path(file))["model"]
        assert after.keys() == state.keys()
        assert all(torch.equal(after[name], value) for name, value in state.items())


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"_class_name": "AutoencoderDC"}, "holds an AutoencoderDC, and the layout of latent diffusion is of an Auto"),
        ({"latent_channels": 7}, r"conv_in.weight \(64x4x3x3 instead of 64x7x3x3\)"),
        ({"norm_num_groups": 16}, None),
    ],
)
def test_autoencoders_that_the_layout_cannot_store_are_refused(
    mgbench: Command, changes: dict[str, Any], sentence: str | None
) -> None:
    torch.save({"model": layout()}, "kl.ckpt")
    mgbench("import", "kl.ckpt", "--as", "kl")
    config = Path("results/imported/kl/config.json")
    config.write_text(json.dumps({**json.loads(config.read_text()), **changes}))
    answer = mgbench("export", "kl", "-o", "out.ckpt")
    assert answer.code == 2
    assert_says(answer.err, sentence or "whose options its names do not tell")
    assert not Path("out.ckpt").exists()


@pytest.mark.slow
def test_imported_methods_are_sampled_and_nothing_is_trained(mgbench: Command) -> None:
    for name in ("emigm", "mar"):
        mgbench("import", str(GOLDEN / f"{name}_ckpt_tiny.pth"), "--as", f"{name}-theirs", *HEADS)
    named = ("--methods", "emigm-theirs,mar-theirs")
    few = ("--set", "sampling_steps=2", "--set", "samples=12", "--set", "metrics=kid")
    assert "sample, score (trained already)" in mgbench("plan", *named, *few).out
    run = mgbench("run", *named, *few, "--quiet", "--set", "train_steps=3")
    assert run.code == 0, run.err
    assert "The weights of emigm-theirs and mar-theirs were imported." in Path("reports/all/methods.md").read_text()
    assert "2 reused" in mgbench("plan", *named, *few).out
    assert mgbench("sample", "mar-theirs", "-o", "drawn.npz", "-n", "2").code == 0
    shown = mgbench("show", "mar-theirs", "--recipe").out
    assert imported_as(Layout(Path("results")), "mar-theirs").weights in shown.replace("\n", "")
    assert mgbench("doctor").code == 0


def test_a_checkpoint_of_halton_maskgit_is_planned_with_and_comes_out_as_it_came_in(mgbench: Command) -> None:
    theirs = {"iter": 7, "global_epoch": 1, "model_state_dict": halton.layout(), "optimizer_state_dict": None}
    torch.save(theirs, "halton.pth")
    said = mgbench("import", "halton.pth", "--as", "theirs", "--set", "network.heads=3")
    assert said.code == 0, said.err
    assert "10 classes and 16 tokens of 16 codes" in said.out
    plan = ("plan", "--methods", "theirs", "--set", "dataset=digits", "--set")
    assert "sample, score (trained already)" in mgbench(*plan, "tokenizer=kmeans(codes=16, size=2)").out
    other = mgbench(*plan, "tokenizer=kmeans(codes=32, size=2)").out.replace("\n", " ")
    assert "16 tokens of 16 codes" in other
    assert "16 tokens of 32 codes" in other
    assert mgbench("export", "theirs", "-o", "out.pth").code == 0
    after = content(Path("out.pth"))
    assert (after["iter"], after["global_epoch"]) == (7, 1)
    state = after["model_state_dict"]
    assert state.keys() == halton.layout().keys()
    assert all(torch.equal(state[name], value) for name, value in halton.layout().items())


def test_weights_for_other_data_are_skipped_with_a_sentence(mgbench: Command) -> None:
    mgbench("import", str(GOLDEN / "mar_ckpt_tiny.pth"), "--as", "theirs", *HEADS)
    said = mgbench("plan", "--methods", "theirs", "--set", "sampling_steps=2", "--set", "dataset=shapes").out
    assert "for 10 classes and 16 tokens of 4 numbers" in said
    assert "did you mean 'theirs'" in mgbench("speed", "theirz").err
    lost = mgbench("plan", "--methods", "emigm", "--set", "sampling_steps=2", "--set", f"weights={'ab' * 32}").out
    assert "import them again" in lost


def half_renamed(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.replace("encoder_blocks.0", "enc.0"): value for name, value in state.items()}


WRONG: list[tuple[Any, str]] = [
    (lambda state: {"model_ema": half_renamed(state)}, r"lacks .*encoder_blocks\.0.* also has .*enc\.0"),
    (lambda state: {"model_ema": {**state, "z_proj.bias": torch.zeros(7)}}, r"z_proj\.bias \(7 instead of 32\)"),
    (lambda state: {"model_ema": {**state, "z_proj.bias": torch.full((32,), torch.nan)}}, "not finite in z_proj.bias"),
    (lambda state: {"model_ema": {name: state[name] for name in list(state)[:9]}}, "lacks"),
    (lambda state: {"other": state}, "holds no weights under model_ema"),
    (lambda state: {"model_ema": {"net.fc": torch.zeros(2)}}, r"no layout that is known .*net\.fc"),
    (lambda state: torch.zeros(3), "holds a Tensor and no weights"),
    (
        lambda state: {
            f"{name}.weight": torch.zeros(2) for name in ("tok_emb", "pos_emb", "bias", "transformer.layers.0")
        },
        r"a checkpoint of Maskgit-pytorch \(valeoai, v1\)",
    ),
    (
        lambda state: {
            "tok_emb.weight": torch.zeros(2),
            "cls_emb.weight": torch.zeros(2),
            "pos_emb.weight": torch.zeros(2),
        },
        "lacks head",
    ),
    (
        lambda state: {
            f"{n}.weight": torch.zeros(2) for n in ("encoder.latent_head", "decoder.decoder_embed", "decoder.conv_out")
        },
        r"the tokenizer of l-DeTok, which needs no import; take it as it is, tokenizer=detok\(path=wrong\.pth\)",
    ),
]


@pytest.mark.parametrize(("content_of", "sentence"), WRONG)
def test_what_does_not_fit_is_named(mgbench: Command, content_of: Any, sentence: str) -> None:
    torch.save(content_of(average()), "wrong.pth")
    answer = mgbench("import", "wrong.pth", *HEADS)
    assert answer.code == 2
    assert_says(answer.err, sentence)


def test_every_tensor_is_named_and_equal_layers_together(mgbench: Command) -> None:
    state = average()
    lost = [name for name in state if "norm" in name or name in ("z_proj.bias", "encoder_blocks.0.attn.qkv.weight")]
    torch.save({"model_ema": {name: value for name, value in state.items() if name not in lost}}, "wrong.pth")
    said = mgbench("import", "wrong.pth", *HEADS).err
    named = re.search("lacks (.*);", said)
    assert named
    found = [name for one in re.split(", (?![^{]*})", named[1]) for name in spelled_out(one)]
    assert sorted(found) == sorted(lost)
    assert len(named[1]) < sum(map(len, lost)) / 1.5


def spelled_out(name: str) -> list[str]:
    """The names that one with ranges or lists of numbers stands for."""
    found = re.search(r"{(\d+)-(\d+)}|{([\d,]+)}", name)
    if not found:
        return [name]
    numbers = found[3].split(",") if found[3] else range(int(found[1]), int(found[2]) + 1)
    return [whole for number in numbers for whole in spelled_out(name.replace(found[0], str(number), 1))]


def assert_says(text: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        raise ValueError(text)


def test_files_that_are_none_and_options_that_are_wrong(mgbench: Command) -> None:
    path = GOLDEN / "mar_ckpt_tiny.pth"
    Path("short.pth").write_bytes(path.read_bytes()[:50000])
    assert "cut short" in mgbench("import", "short.pth", *HEADS).err
    assert "there is no file" in mgbench("import", "missing.pth").err
    assert "--set network.heads=N" in mgbench("import", str(path)).err
    assert "multiple of heads (5)" in mgbench("import", str(path), "--set", "network.heads=5").err
    assert "there is a method 'mar'" in mgbench("import", str(path), "--as", "mar").err
    assert "did you mean 'mar'" in mgbench("import", str(path), "--like", "marr").err
    assert "weights cannot be called" in mgbench("import", str(path), "--as", "../x").err
    assert "no finished row and nothing imported" in mgbench("export", "nothing", "-o", "x.pth").err


def test_code_in_a_file_is_named_and_not_run(mgbench: Command) -> None:
    class Evil:
        def __reduce__(self) -> Any:
            return (print, ("run",))

    torch.save({"model_ema": average(), "epoch": Evil()}, "evil.pth")
    answer = mgbench("import", "evil.pth", *HEADS)
    assert answer.code == 2
    assert "beside weights, which is code" in answer.err
    assert "run" not in answer.out


def test_a_wrapped_or_bare_state_dict_is_the_same_model(mgbench: Command) -> None:
    torch.save({f"module.{name}": value for name, value in average().items()}, "wrapped.pth")
    torch.save({"model_ema": average()}, "plain.pth")
    for name in ("wrapped", "plain"):
        assert mgbench("import", f"{name}.pth", *HEADS).code == 0
    found = [imported_as(Layout(Path("results")), name).weights for name in ("wrapped", "plain")]
    assert found[0] == found[1]


def pictures(folder: Path) -> None:
    """Six pictures of 32x32 in each of ten class folders, and two held out."""
    made = torch.Generator().manual_seed(0)
    for half, count in (("train", 6), ("val", 2)):
        for label in range(10):
            (folder / half / f"c{label}").mkdir(parents=True)
            for index in range(count):
                pixels = torch.randint(256, (32, 32, 3), dtype=torch.uint8, generator=made).numpy()
                Image.fromarray(pixels).save(folder / half / f"c{label}" / f"{index}.png")


@pytest.mark.slow
@pytest.mark.usefixtures("no_report")
def test_a_checkpoint_and_an_autoencoder_give_scored_images(mgbench: Command) -> None:
    pictures(Path("data"))
    torch.save({"model": layout((32, 32, 32, 32)), "epoch": 3}, "kl8.ckpt")
    said = mgbench("import", "kl8.ckpt", "--as", "kl")
    assert said.code == 0, said.err
    assert "a KL autoencoder f8c4" in said.out
    home = Path("results", "imported", "kl")
    assert f"pretrained_kl(path={home})" in said.out
    assert "16 steps" in mgbench("import", str(GOLDEN / "emigm_ckpt_tiny.pth"), "--as", "theirs", *HEADS).out
    tokenizer = f"tokenizer=pretrained_kl(path={home}, scale=0.2325, form=f8c4, latent=sample)"
    options = ("--set", "dataset=image_folder(path=data)", "--set", tokenizer, "--set", "samples=10")
    scored = ("--set", "metrics=kid(subset_size=5)", "--set", "extractor=shapes_cnn")
    run = mgbench("run", "--methods", "theirs", *options, *scored, "--quiet")
    assert run.code == 0, run.err
    rows = [row for row in stored_records(Layout(Path("results"))).values() if row.about == "images"]
    assert [(row.status, row.recipe["sampling_steps"], row.costs["nfe"]) for row in rows] == [("done", 16, 19.0)]
    assert mgbench("doctor").code == 0
    another = tokenizer.replace("f8c4", "f16c16")
    wrong = mgbench("plan", "--methods", "theirs", *options[:3], another, *scored).err
    assert "holds an autoencoder f8c4, and form=f16c16 asks for another" in wrong
