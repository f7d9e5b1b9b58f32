"""Autoencoders from elsewhere, saved here by diffusers itself; what they say is what diffusers says."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import AutoencoderDC, AutoencoderKL, AutoencoderTiny, VQModel
from safetensors.torch import load_file, save_file
from torch import Tensor

from mgbench.components.tokenizers.patches import to_unit
from mgbench.components.tokenizers.pretrained import DcAe, PretrainedKl, PretrainedTiny, PretrainedVq
from mgbench.errors import Unfit, UserError
from mgbench.recipes.recipe import Recipe
from mgbench.recipes.spec import Spec
from mgbench.registry.loading import load
from mgbench.registry.resolve import assemble


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tiny autoencoders of factor 2, with three channels and eight numbers a token."""
    folder = tmp_path_factory.mktemp("weights")
    torch.manual_seed(0)
    kl = AutoencoderKL(
        block_out_channels=(8, 8),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        latent_channels=8,
        norm_num_groups=4,
    )
    kl.save_pretrained(folder / "kl")
    dc = AutoencoderDC(
        latent_channels=8,
        scaling_factor=0.3189,
        encoder_block_out_channels=(8, 16),
        decoder_block_out_channels=(8, 16),
        encoder_layers_per_block=(1, 1),
        decoder_layers_per_block=(1, 1),
        encoder_qkv_multiscales=((), ()),
        decoder_qkv_multiscales=((), ()),
    )
    dc.save_pretrained(folder / "dc")
    tiny = AutoencoderTiny(
        latent_channels=8,
        encoder_block_out_channels=(8, 8),
        decoder_block_out_channels=(8, 8),
        num_encoder_blocks=(1, 1),
        num_decoder_blocks=(1, 1),
    )
    tiny.save_pretrained(folder / "tiny")
    vq = VQModel(
        block_out_channels=(8, 8),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        latent_channels=8,
        norm_num_groups=4,
        num_vq_embeddings=16,
        vq_embed_dim=4,
    )
    torch.nn.init.normal_(vq.quantize.embedding.weight)
    vq.save_pretrained(folder / "vq")
    return folder


def images(*shape: int) -> Tensor:
    return torch.randint(256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@torch.no_grad()
def theirs(kind: Any, path: Path, shown: Tensor) -> tuple[Tensor, Tensor]:
    """Latents [B,8,H,W] and decoded pixels, by diffusers alone."""
    model = kind.from_pretrained(path).eval()
    encoded = model.encode(to_unit(shown))
    latents = encoded.latent_dist.mean if "latent_dist" in encoded else next(iter(encoded.values()))
    return latents, model.decode(latents).sample


CASES = [
    (AutoencoderKL, PretrainedKl, "kl", 0.18215),
    (AutoencoderDC, DcAe, "dc", 0.3189),
    (AutoencoderTiny, PretrainedTiny, "tiny", 1.0),
]


@pytest.mark.parametrize(("kind", "maker", "name", "scale"), CASES)
def test_tokens_are_the_scaled_latents_of_diffusers(
    saved: Path, kind: Any, maker: Any, name: str, scale: float
) -> None:
    shown = images(5, 3, 8, 12)
    module = maker(str(saved / name)).build((3, 8, 12))
    assert list(module.fit(shown, 0)) == []
    tokens = module.encode(shown)
    assert (module.space.length, module.space.dim, module.space.codes, module.space.grid) == (24, 8, None, (4, 6))
    latents, pixels = theirs(kind, saved / name, shown)
    for row, column in ((0, 0), (1, 3), (3, 5)):
        torch.testing.assert_close(tokens[:, row * 6 + column], latents[:, :, row, column] * scale)
    expected = ((pixels + 1) * 127.5).round().clamp(0, 255)
    assert (module.decode(tokens).double() - expected).abs().max() <= 1
    torch.testing.assert_close(module.encode(shown[2:4]), tokens[2:4], rtol=0, atol=1e-5)


@pytest.mark.parametrize(("kind", "maker", "name", "scale"), CASES)
def test_grey_images_are_shown_in_three_channels_and_come_back_in_one(
    saved: Path, kind: Any, maker: Any, name: str, scale: float
) -> None:
    grey = images(3, 1, 8, 8)
    module = maker(str(saved / name)).build((1, 8, 8))
    _, pixels = theirs(kind, saved / name, grey.expand(-1, 3, -1, -1))
    back = module.decode(module.encode(grey))
    assert back.shape == grey.shape
    expected = ((pixels.mean(1, keepdim=True) + 1) * 127.5).round().clamp(0, 255)
    assert (back.double() - expected).abs().max() <= 1


@pytest.mark.parametrize(("shape", "said"), [((3, 7, 8), "does not tile"), ((2, 8, 8), "takes images of 3 channels")])
def test_images_it_cannot_take_are_unfit(saved: Path, shape: tuple[int, int, int], said: str) -> None:
    with pytest.raises(Unfit, match=said):
        PretrainedKl(str(saved / "kl")).build(shape)


def test_a_folder_that_is_not_there_or_holds_something_else_is_said(saved: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no config.json in 'nowhere'; name a folder with .* of an AutoencoderKL"):
        PretrainedKl("nowhere").build((3, 8, 8))
    (tmp_path / "config.json").write_bytes((saved / "kl" / "config.json").read_bytes())
    with pytest.raises(UserError, match=r"cannot be read \(OSError: .*; name a folder"):
        PretrainedKl(str(tmp_path)).build((3, 8, 8))


def test_a_missing_folder_is_said_before_anything_runs() -> None:
    made = assemble(load(), Recipe.of(tokenizer="pretrained_kl('nowhere')"))
    assert "no config.json in 'nowhere'" in made.unfit
    assert made.refused


def test_the_weights_count_in_the_keys(saved: Path, tmp_path: Path) -> None:
    folder = tmp_path / "kl"
    shutil.copytree(saved / "kl", folder)
    recipe = Recipe.of(tokenizer=f"pretrained_kl({str(folder)!r})")
    registry = load()
    before, again = (assemble(registry, recipe) for _ in range(2))
    assert before.unfit == ""
    assert before.keys == again.keys
    torch.manual_seed(1)
    model = AutoencoderKL.from_pretrained(folder)
    torch.nn.init.normal_(model.decoder.conv_out.weight)
    model.save_pretrained(folder)
    after = assemble(registry, recipe)
    assert after.keys.tokenizer != before.keys.tokenizer
    assert after.keys.reconstruction != before.keys.reconstruction


def configured(saved: Path, folder: Path, name: str, changes: dict[str, Any]) -> str:
    """A copy of a saved autoencoder whose configuration states other things; None takes a name out."""
    shutil.copytree(saved / name, folder / name)
    file = folder / name / "config.json"
    config = json.loads(file.read_text()) | changes
    file.write_text(json.dumps({key: value for key, value in config.items() if value is not None}))
    return str(folder / name)


@pytest.mark.parametrize(
    ("name", "maker", "changes", "given", "scale", "shift"),
    [
        # SD3's and Flux's.
        ("kl", PretrainedKl, {"scaling_factor": 1.5305, "shift_factor": 0.0609}, {}, 1.5305, 0.0609),
        ("kl", PretrainedKl, {"scaling_factor": 0.3611, "shift_factor": 0.1159}, {}, 0.3611, 0.1159),
        # SDXL's.
        ("kl", PretrainedKl, {"scaling_factor": 0.13025}, {}, 0.13025, 0.0),
        ("kl", PretrainedKl, {"scaling_factor": 0.13025}, {"scale": 0.2325}, 0.2325, 0.0),
        ("kl", PretrainedKl, {"scaling_factor": None}, {}, 0.18215, 0.0),
        ("dc", DcAe, {"scaling_factor": 0.41407}, {}, 0.41407, 0.0),
        ("dc", DcAe, {"scaling_factor": None}, {}, 0.3189, 0.0),
        ("kl", PretrainedKl, {"latents_mean": [0.5] * 8, "latents_std": [2.0] * 8}, {}, 0.18215 / 2, 0.5),
    ],
)
def test_latents_are_scaled_as_their_autoencoder_says(
    saved: Path,
    tmp_path: Path,
    name: str,
    maker: Any,
    changes: dict[str, Any],
    given: dict[str, float],
    scale: float,
    shift: float,
) -> None:
    module = maker(configured(saved, tmp_path, name, changes), **given).build((3, 8, 8))
    shown = images(2, 3, 8, 8)
    latents, pixels = theirs(AutoencoderKL if name == "kl" else AutoencoderDC, saved / name, shown)
    tokens = module.encode(shown)
    torch.testing.assert_close(tokens, (latents.flatten(2).transpose(1, 2) - shift) * scale)
    expected = ((pixels + 1) * 127.5).round().clamp(0, 255)
    assert (module.decode(tokens).double() - expected).abs().max() <= 1


FIRST = {
    "kl": "decoder.conv_in.bias",
    "dc": "decoder.conv_in.bias",
    "tiny": "decoder.layers.0.bias",
    "vq": "decoder.conv_in.bias",
}
MAKERS = [("kl", PretrainedKl), ("dc", DcAe), ("tiny", PretrainedTiny), ("vq", PretrainedVq)]


@pytest.mark.parametrize(("name", "maker"), MAKERS)
@pytest.mark.parametrize("fault", ["missing", "left over", "misshapen", "not finite"])
def test_weights_that_are_not_whole_are_refused_by_name(
    saved: Path, tmp_path: Path, name: str, maker: Any, fault: str
) -> None:
    path = configured(saved, tmp_path, name, {})
    file = Path(path) / "diffusion_pytorch_model.safetensors"
    state, first = load_file(file), FIRST[name]
    said = {
        "missing": f"lacks {first}",
        "left over": "also has extra.weight",
        "misshapen": rf"has in other shapes {first} \(5 instead of \d+\)",
        "not finite": f"not finite in {first}",
    }
    {
        "missing": lambda: state.pop(first),
        "left over": lambda: state.update({"extra.weight": torch.zeros(2)}),
        "misshapen": lambda: state.update({first: torch.zeros(5)}),
        "not finite": lambda: state[first].fill_(torch.nan),
    }[fault]()
    save_file(state, file)
    with pytest.raises(UserError, match=said[fault]):
        maker(path).build((3, 8, 8))


@torch.no_grad()
def test_codes_are_the_nearest_vectors_of_the_codebook(saved: Path) -> None:
    shown = images(5, 3, 8, 12)
    module = PretrainedVq(str(saved / "vq")).build((3, 8, 12))
    assert (module.space.length, module.space.dim, module.space.codes, module.space.grid) == (24, 4, 16, (4, 6))
    model: Any = VQModel.from_pretrained(saved / "vq").eval()
    vectors = model.encode(to_unit(shown)).latents.flatten(2).transpose(1, 2)
    nearest = torch.cdist(vectors, model.quantize.embedding.weight.expand(5, -1, -1)).argmin(-1)
    codes = module.encode(shown)
    assert codes.dtype == torch.int64
    assert torch.equal(codes, nearest)
    assert len(codes.unique()) > 2
    expected = ((model.decode(model.encode(to_unit(shown)).latents).sample + 1) * 127.5).round().clamp(0, 255)
    assert (module.decode(codes).double() - expected).abs().max() <= 1


@torch.no_grad()
def test_sampled_latents_follow_the_posterior_and_the_image(saved: Path) -> None:
    """As spread about the mean as it says, and the same however images are batched."""
    shown = images(200, 3, 8, 8)
    module = PretrainedKl(str(saved / "kl"), scale=1.0, latent="sample").build((3, 8, 8))
    tokens = module.encode(shown)
    torch.testing.assert_close(module.encode(shown[70:75]), tokens[70:75], rtol=0, atol=1e-5)
    law = AutoencoderKL.from_pretrained(saved / "kl").eval().encode(to_unit(shown)).latent_dist
    z = (tokens - law.mean.flatten(2).transpose(1, 2)) / law.std.flatten(2).transpose(1, 2)
    assert abs(z.mean().item()) < 5 / z.numel() ** 0.5
    assert z.var().item() == pytest.approx(1, abs=5 * (2 / z.numel()) ** 0.5)
    assert z[0].sub(z[1]).abs().max() > 0.1


def test_an_autoencoder_of_another_form_is_refused_and_one_that_is_said_is_planned_with(saved: Path) -> None:
    said = PretrainedKl(str(saved / "kl"), form="f2c8")
    assert said.build((3, 8, 12)).space == said.expected_space((3, 8, 12))
    with pytest.raises(UserError, match=r"holds an autoencoder f2c8, and form=f16c16 asks for another"):
        PretrainedKl(str(saved / "kl"), form="f16c16").build((3, 8, 12))
    assert PretrainedKl("nowhere").expected_space((3, 8, 12)) is None
    with pytest.raises(Unfit, match="does not tile"):
        PretrainedKl("nowhere", form="f16c16").expected_space((3, 8, 12))
    with pytest.raises(UserError, match="form"):
        load().build("tokenizer", Spec.parse("pretrained_kl(path=nowhere, form=16x16)"))


def test_a_name_of_the_hub_is_looked_up_in_its_cache_and_never_fetched(
    saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(UserError, match=r"'hf download someone/kl config.json diffusion_pytorch_model.safetensors'"):
        PretrainedKl("someone/kl").build((3, 8, 8))
    assert PretrainedKl("someone/kl").files == ()
    on_hub(saved / "kl", tmp_path)
    named, there = (PretrainedKl(path).build((3, 8, 8)) for path in ("someone/kl", str(saved / "kl")))
    assert torch.equal(named.encode(images(2, 3, 8, 8)), there.encode(images(2, 3, 8, 8)))
    assert [file.name for file in PretrainedKl("someone/kl").files] == [
        "config.json",
        "diffusion_pytorch_model.safetensors",
    ]


def on_hub(
    folder: Path, cache: Path, names: tuple[str, ...] = ("config.json", "diffusion_pytorch_model.safetensors")
) -> None:
    """Put files into the hub's cache as someone/kl."""
    snapshot = cache / "models--someone--kl" / "snapshots" / ("a" * 40)
    snapshot.mkdir(parents=True, exist_ok=True)
    for name in names:
        shutil.copy(folder / name, snapshot / name)
    refs = snapshot.parents[1] / "refs"
    refs.mkdir(exist_ok=True)
    (refs / "main").write_text("a" * 40)


def test_an_autoencoder_of_the_hub_is_fetched_once_and_checked(
    saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, str]] = []

    def download(name: str, file: str) -> None:
        asked.append((name, file))
        if len(asked) == 1:
            raise OSError("no route to host")
        on_hub(saved / "kl", tmp_path, (file,))

    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.hf_hub_download", download)
    with pytest.raises(UserError, match=r"cannot fetch someone/kl from the hub \(no route to host\)"):
        PretrainedKl("someone/kl").fetch()
    PretrainedKl("someone/kl").fetch()
    assert asked[1:] == [("someone/kl", name) for name in ("config.json", "diffusion_pytorch_model.safetensors")]
    PretrainedKl("someone/kl").fetch()
    PretrainedKl(str(saved / "kl")).fetch()
    assert len(asked) == 3
    with pytest.raises(UserError, match=r"there is no config.json in 'no/where/here'"):
        PretrainedKl("no/where/here").fetch()
    assert len(asked) == 3


def test_a_pipeline_is_pointed_into(tmp_path: Path) -> None:
    (tmp_path / "model_index.json").write_text("{}")
    with pytest.raises(UserError, match="is a whole pipeline; name the folder in it"):
        PretrainedKl(str(tmp_path)).build((3, 8, 8))
