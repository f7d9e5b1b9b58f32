import importlib
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from mgbench.components.extractors.inception import INCEPTION, INCEPTION_HASH, Inception, channels_last
from mgbench.components.extractors.pretrained import Clip, Dinov2, Torchvision
from mgbench.errors import UserError
from tests import weights

needs_torch_fidelity = pytest.mark.skipif(
    importlib.util.find_spec("torch_fidelity") is None, reason="torch-fidelity has the network"
)


def some_images(count: int = 3, side: int = 24) -> Tensor:
    return torch.randint(256, (count, 3, side, side), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def inception(**options: Any) -> Inception:
    file = weights.inception()
    return Inception(path=str(file), checksum=weights.digest(file), **options)


def test_inception_is_torch_fidelity_s() -> None:
    module: Any = pytest.importorskip("torch_fidelity.feature_extractor_inceptionv3", reason="it has the network")
    layers = ["2048", "logits_unbiased"]
    theirs = module.FeatureExtractorInceptionV3(
        "inception-v3-compat", layers, feature_extractor_weights_path=str(weights.inception())
    )
    ours = inception().build()
    features, logits = theirs(some_images())
    said = ours(some_images())
    assert torch.equal(said.features, features)
    assert torch.equal(said.logits, logits)
    assert said.spatial.shape == (3, 7 * 17 * 17)
    assert said.features.dtype == torch.float32
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(ours(some_images()).features, features)
    # The file is not the published one, so what is measured is no FID.
    assert ours.id == f"inception@{weights.digest(weights.inception())[:4]}"
    assert not ours.plain


def test_inception_takes_images_that_others_resized() -> None:
    from torch_fidelity.interpolate_compat_tensorflow import interpolate_bilinear_2d_like_tensorflow1x as resize

    network, images = inception().build(), some_images(1)
    resized = resize(images.float(), size=(299, 299), align_corners=False)
    assert torch.equal(network(resized).features, network(images).features)
    scaled = inception(pixels="pytorch").build()
    assert scaled.id.startswith("inception_pytorch@")
    torch.testing.assert_close(scaled(resized).features, network(resized / 127.5 * 128).features, rtol=1e-4, atol=1e-5)


def test_spatial_features_are_in_the_order_of_adm() -> None:
    # mixed_6/conv:0 of TensorFlow is [B,17,17,C], of which the first 7 channels are flattened (guided-diffusion's
    # evaluator): the channel changes fastest, then the column, then the row.
    maps = torch.arange(2 * 7 * 3 * 5).reshape(2, 7, 3, 5)
    rows = channels_last(maps)
    assert rows.shape == (2, 3 * 5 * 7)
    for y, x, c in ((0, 0, 0), (0, 0, 6), (0, 4, 1), (2, 1, 3), (2, 4, 6)):
        assert torch.equal(rows[:, (y * 5 + x) * 7 + c], maps[:, c, y, x])


@pytest.mark.slow
def test_inception_says_its_spatial_features_in_that_order() -> None:
    network = inception().build()
    inner: list[Tensor] = []
    branch = network.layers.Mixed_6d.branch1x1
    handle = branch.register_forward_hook(lambda module, given, said: inner.append(said))
    spatial = network(some_images(2)).spatial
    handle.remove()
    assert torch.equal(spatial.reshape(2, 17, 17, 7)[:, 3, 5], inner[0][:, :7, 3, 5])


FAULTS = {
    "missing": (r"does not fit: .*(lacks|Missing key.*)[\s\"]*{name}", lambda state, name: state.pop(name)),
    "left over": (
        r"does not fit: .*(also has|Unexpected key.*)[\s\"]*visual\.extra",
        lambda state, name: state.update({"visual.extra": torch.zeros(2)}),
    ),
    "misshapen": (r"does not fit: .*{name}", lambda state, name: state.update({name: state[name][:1].clone()})),
    "not finite": (r"not finite in (model\.)?{name}", lambda state, name: state[name].fill_(torch.nan)),
}


@needs_torch_fidelity
@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize(
    ("network", "fault"),
    [(network, fault) for network in ("clip", "torchvision") for fault in FAULTS] + [("inception", "missing")],
)
def test_weights_that_are_not_whole_are_refused_by_name(network: str, fault: str, tmp_path: Path) -> None:
    sentence, change = FAULTS[fault]
    file = tmp_path / "weights.pt"
    if network == "clip":
        state, name = dict(torch.jit.load(str(weights.clip())).state_dict()), "visual.ln_post.bias"
        change(state, name)
        torch.jit.script(weights.holder(state)).save(str(file))
    else:
        source, name = (
            (weights.inception(), "Mixed_5b.branch1x1.conv.weight")
            if network == "inception"
            else (weights.squeezed(), "conv5.0.weight")
        )
        state = torch.load(source, weights_only=True)
        change(state, name)
        torch.save(state, file)
    makers: dict[str, Any] = {
        "inception": Inception(path=str(file), checksum=weights.digest(file)),
        "clip": Clip(path=str(file), checksum=weights.digest(file)),
        "torchvision": Torchvision("shufflenet_v2_x0_5", str(file)),
    }
    with pytest.raises(UserError, match=sentence.replace("{name}", name.replace(".", r"\."))):
        makers[network].build()


@needs_torch_fidelity
def test_a_checkpoint_of_dinov2_that_is_cut_short_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(weights.torch_home(), tmp_path / "torch")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    file = tmp_path / "torch" / "hub" / "checkpoints" / "dinov2_vits14_pretrain.pth"
    torch.save({"2.weight": torch.zeros(24, 192)}, file)
    with pytest.raises(UserError, match=r'does not fit: .*Missing key.*"2\.bias"'):
        Dinov2().build()


def test_only_the_published_inception_is_called_fid(monkeypatch: pytest.MonkeyPatch) -> None:
    from mgbench.components.extractors import weight_files

    monkeypatch.setattr(weight_files, "_sha256_of", lambda *_: INCEPTION_HASH + "0" * 56)
    path = str(weights.inception())
    assert Inception(path=path).build().plain
    assert not Inception(path=path, pixels="pytorch").build().plain


@needs_torch_fidelity
def test_inception_is_found_where_torch_hub_keeps_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(
        UserError, match=r"not at .*weights-inception.*inception\(path='…'\).*inception\(download=true\)"
    ):
        Inception().build()
    place = tmp_path / "hub" / "checkpoints"
    place.mkdir(parents=True)
    os.link(weights.inception(), place / INCEPTION)
    with pytest.raises(UserError, match=r"SHA-256 begins with \w{8}, and not with 6726825d.*give checksum='\w{8}'"):
        Inception().build()
    assert Inception(checksum=weights.digest(weights.inception())).build().id.startswith("inception@")


@needs_torch_fidelity
def test_a_download_is_tried_only_when_it_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def fetch(url: str, file: str, **options: Any) -> None:
        asked.append(url)
        if len(asked) == 1:
            raise OSError("no route to host")
        shutil.copy(weights.inception(), file)

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", fetch)
    checksum = weights.digest(weights.inception())
    with pytest.raises(UserError, match="not at"):
        Inception(checksum=checksum).build()
    assert asked == []
    with pytest.raises(UserError, match=r"cannot fetch https://.*no route to host"):
        Inception(checksum=checksum, download=True).build()
    assert Inception(checksum=checksum, download=True).build().id.startswith("inception@")
    assert asked[0].endswith(INCEPTION)


@needs_torch_fidelity
def test_weights_are_fetched_once_and_verified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def fetch(url: str, file: str, **options: Any) -> None:
        asked.append(url)
        shutil.copy(weights.inception(), file)

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", fetch)
    checksum = weights.digest(weights.inception())
    for _ in range(2):
        Inception(checksum=checksum).fetch()
    assert len(asked) == 1
    with pytest.raises(UserError, match="and not with 6726825d"):
        Inception().fetch()
    with pytest.raises(UserError, match=r"there is no file none\.pth"):
        Inception(path="none.pth").fetch()
    with pytest.raises(UserError, match="is not the file that clip should read"):
        Clip().fetch()
    assert len(asked) == 2
    with pytest.raises(UserError, match="clip: no model is called 'vit-z'"):
        Clip("vit-z").fetch()


@needs_torch_fidelity
def test_dinov2_is_fetched_as_torch_hub_does(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(repository: str, *given: Any, **options: Any) -> None:
        raise OSError(f"no route to {repository}")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "load", refuse)
    with pytest.raises(UserError, match=r"cannot fetch dinov2 \(no route to facebookresearch/dinov2.*copy"):
        Dinov2().fetch()


@needs_torch_fidelity
@pytest.mark.parametrize("content", [b"", b"not weights", None])
def test_files_that_hold_no_weights_are_refused(content: bytes | None, tmp_path: Path) -> None:
    file = tmp_path / "weights.pth"
    if content is None:
        torch.save({"run": Runs()}, file)
    else:
        file.write_bytes(content)
    with pytest.raises(UserError, match="holds no weights that can be read"):
        Inception(path=str(file), checksum=weights.digest(file)).build()
    assert Runs.ran == 0


class Runs:
    """What runs code when it is unpickled."""

    ran = 0

    def __reduce__(self) -> Any:
        return _run, ()


def _run() -> None:
    Runs.ran += 1


def test_a_library_that_does_not_import_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.import_module

    def broken(name: str, *args: Any) -> Any:
        if name.startswith("torch_fidelity"):
            raise RuntimeError("operator torchvision::nms does not exist\nand more")
        return real(name, *args)

    monkeypatch.setattr(importlib, "import_module", broken)
    for extractor in (inception(), Clip(), Dinov2()):
        with pytest.raises(
            UserError, match=r"needs torch-fidelity, which does not import \(RuntimeError: operator .*exist\)"
        ):
            extractor.build()


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
def test_clip_is_torch_fidelity_s() -> None:
    module: Any = pytest.importorskip("torch_fidelity.feature_extractor_clip", reason="it has the network")
    file = weights.clip()
    theirs = module.FeatureExtractorCLIP("clip-vit-b-32", ["clip"], feature_extractor_weights_path=str(file))
    ours = Clip(path=str(file), checksum=weights.digest(file)).build()
    assert torch.equal(ours(some_images()).features, theirs(some_images())[0])
    assert ours.id == f"clip_vit_b_32@{weights.digest(file)[:4]}"
    with pytest.raises(UserError, match="SHA-256 begins"):
        Clip(path=str(file)).build()


@needs_torch_fidelity
def test_clip_knows_the_published_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(UserError, match=r"no model is called 'vit-b-33'; did you mean 'vit-b-32'\?"):
        Clip("vit-b-33").build()
    with pytest.raises(UserError, match=r"not at .*clip-vit-l-14-b8cca3fd"):
        Clip("vit-l-14").build()


@needs_torch_fidelity
def test_dinov2_is_what_the_hub_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(UserError, match=r"dinov2 needs .*facebookresearch_dinov2_main, which is not there"):
        Dinov2().build()
    monkeypatch.setenv("TORCH_HOME", str(weights.torch_home()))
    load = torch.hub.load
    network = Dinov2().build()
    assert torch.hub.load is load
    assert network(some_images()).features.shape == (3, 24)
    assert network.id.startswith("dinov2_vit_s_14@")
    with pytest.raises(UserError, match=r"dinov2 needs .*dinov2_vitb14_pretrain.pth"):
        Dinov2("b").build()


def test_torchvision_says_what_enters_the_last_layer() -> None:
    models: Any = pytest.importorskip("torchvision.models", reason="it has the network")
    file = weights.squeezed()
    network = Torchvision("shufflenet_v2_x0_5", str(file), size=64).build()
    whole = models.get_model("shufflenet_v2_x0_5", weights=None).eval()
    whole.load_state_dict(torch.load(file, weights_only=True))
    said = network(some_images(side=64))
    spread = torch.tensor([0.229, 0.224, 0.225])[:, None, None]
    pixels = (some_images(side=64) / 255 - torch.tensor([0.485, 0.456, 0.406])[:, None, None]) / spread
    logits = whole(pixels)
    torch.testing.assert_close(said.logits, logits, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(whole.fc(said.features), logits, rtol=1e-4, atol=1e-4)
    assert network.id == f"shufflenet_v2_x0_5@{weights.digest(file)[:4]}"


@pytest.mark.parametrize(
    ("model", "sentence"),
    [
        ("shufflenet_v2", "no model 'shufflenet_v2'; did you mean 'shufflenet_v2_x"),
        (
            "shufflenet_v2_x1_0",
            r"as a shufflenet_v2_x1_0, does not fit: it has in other shapes .* \(.* instead of .*\)",
        ),
        (
            "mnasnet0_5",
            r"as a mnasnet0_5, does not fit: it lacks \d+ tensors: \d+ of layers\.\{.*\} \(such as layers\.0\.weight\).*; "
            r"it also has \d+ tensors: \d+ of stage\{2-4\}\..*, \d+ of conv\{1,5\}\.\{0,1\} \(such as conv1\.0\.weight\)",
        ),
        ("squeezenet1_0", "ends in no linear layer"),
    ],
)
def test_torchvision_refuses_what_does_not_fit(model: str, sentence: str) -> None:
    pytest.importorskip("torchvision", reason="it has the networks")
    with pytest.raises(UserError, match=sentence):
        Torchvision(model, str(weights.squeezed())).build()
    with pytest.raises(UserError, match=r"there is no file nowhere\.pt"):
        Torchvision("shufflenet_v2_x0_5", "nowhere.pt").build()


def test_a_real_network_without_its_classifier() -> None:
    folder = os.environ.get("MGBENCH_DATA")
    if not folder:
        pytest.skip("MGBENCH_DATA does not say where the real network is")
    network = Torchvision("mobilenet_v2", str(Path(folder) / "mobilenet_v2-onnxzoo-features.pt")).build()
    said = network(some_images(4, 32))
    assert said.features.shape == (4, 1280)
    assert said.logits is None
    assert network.id.startswith("mobilenet_v2@")
    alone = torch.cat([network(image[None]).features for image in some_images(4, 32)])
    torch.testing.assert_close(alone, said.features, rtol=1e-4, atol=1e-5)
