"""FID and KID by clean-fid, with its resizing and arithmetic, and the extractor of the recipe.

clean-fid 0.1.35 (Parmar, Zhang and Zhu, "On Aliased Resizing and Surprising Subtleties in GAN Evaluation",
arXiv:2104.11222): resizing without antialiasing can change FID by more than the differences between models. Its own
networks are not used, so nothing is downloaded. Workarounds: an argument of SciPy's matrix root removed in 1.18, KID
subsets from NumPy's global random state, and warnings that it disables globally.
"""

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType, SimpleNamespace
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from mgbench.errors import Unfit
from mgbench.hookspecs import hookimpl
from mgbench.interfaces.bibtex import by_key
from mgbench.interfaces.components import Metric
from mgbench.interfaces.data import ExtractorModule, Features
from mgbench.interfaces.images import Images, batches
from mgbench.interfaces.optional import native_side
from mgbench.interfaces.scores import ScoreInfo
from mgbench.recipes.spec import Count, Index

_BATCH = 64


@dataclass(frozen=True)
class CleanFid:
    """FID, and with `kid` also KID, by clean-fid; lower is better.

    `mode` is the resizing to the input size of the extractor: "clean" by Pillow, bicubic and antialiased, without
    rounding; "legacy_pytorch" by torch, bilinear, not antialiased; "legacy_tensorflow" by the extractor. For images of
    that size all three agree. For the pixel scaling of pytorch-fid, use inception(pixels=pytorch).
    """

    scores: ClassVar[Mapping[str, ScoreInfo]] = {
        "clean_fid": ScoreInfo("FID by clean-fid", "lower", checks="fid"),
        "clean_kid": ScoreInfo("KID by clean-fid", "lower"),
        "clean_fid_legacy_pytorch": ScoreInfo("FID by clean-fid, resized by PyTorch", "lower"),
        "clean_kid_legacy_pytorch": ScoreInfo("KID by clean-fid, resized by PyTorch", "lower"),
        "clean_fid_legacy_tensorflow": ScoreInfo("FID by clean-fid, resized by the extractor", "lower", checks="fid"),
        "clean_kid_legacy_tensorflow": ScoreInfo("KID by clean-fid, resized by the extractor", "lower"),
    }

    mode: Literal["clean", "legacy_pytorch", "legacy_tensorflow"] = "clean"
    kid: bool = False
    kid_subsets: Count = 100
    kid_subset_size: Count = 1000
    seed: Index = 0

    def __call__(self, generated: Features, reference: Features) -> dict[str, float]:
        """`clean_fid` (with the mode, if it is a legacy one) of images uint8 [M,3,H,W] and [L,3,H,W].

        Raises:
            Unfit: if clean-fid is missing or fails, only statistics are known, or the extractor has no `side`.
        """
        if generated.images is None or reference.images is None or generated.extractor is None:
            raise Unfit("clean_fid resizes images itself, and the reference has none at hand; give its images")
        self.check_counts(len(generated.images), len(reference.images))
        library = _library()
        resize = _resizer(library, self.mode, generated.extractor)
        fake, real = (_features(part.images, generated.extractor, resize) for part in (generated, reference))  # type: ignore[arg-type]
        name = "" if self.mode == "clean" else f"_{self.mode}"
        found = {f"clean_fid{name}": _fid(library.fid, fake, real)}
        if self.kid:
            with _seeded(self.seed):
                distance = library.fid.kernel_distance(real, fake, self.kid_subsets, self.kid_subset_size)
            found[f"clean_kid{name}"] = float(distance)
        return found

    def check_counts(self, generated: int, reference: int) -> None:
        """Raises `Unfit` with fewer than 2 images in a set."""
        if min(generated, reference) < 2:
            raise Unfit(f"clean_fid needs at least 2 images in each set, and one has {min(generated, reference)}")


def _library() -> Any:
    try:
        from cleanfid import fid, resize
    except Exception as error:
        said = str(error).strip().partition("\n")[0]
        raise Unfit(
            f"clean_fid: clean-fid does not import ({type(error).__name__}: {said}); pip install clean-fid"
        ) from None
    return SimpleNamespace(fid=fid, resize=resize)


def _resizer(library: ModuleType, mode: str, extractor: ExtractorModule) -> Callable[[Any], Any] | None:
    """A function from pixels uint8 [H,W,3] to float [side,side,3]; None if the extractor resizes."""
    how = {"clean": ("PIL", False, "bicubic"), "legacy_pytorch": ("PyTorch", False, "bilinear")}.get(mode)
    if how is None:
        return None
    side = native_side(extractor)
    if side is None:
        raise Unfit(
            f"clean_fid resizes images, and {extractor.id} does not say to which size; take mode=legacy_tensorflow"
        )
    with warnings.catch_warnings():
        resize: Callable[[Any], Any] = library.resize.make_resizer(*how, (side, side))
    return resize


@torch.no_grad()
def _features(images: Images, extractor: ExtractorModule, resize: Callable[[Any], Any] | None) -> np.ndarray:
    places = [*extractor.parameters(), *extractor.buffers()]
    device = places[0].device if places else torch.device("cpu")
    said = [extractor(_resized(part, resize).to(device)).features for part in batches(images, _BATCH)]
    return torch.cat(said).double().cpu().numpy()


def _resized(images: Tensor, resize: Callable[[Any], Any] | None) -> Tensor:
    if resize is None:
        return images
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        shown = [resize(image.permute(1, 2, 0).numpy()) for image in images]
    return torch.from_numpy(np.stack(shown)).permute(0, 3, 1, 2)


# Any here and below: clean-fid is untyped, and an attribute of the module is replaced.
def _fid(module: Any, fake: np.ndarray, real: np.ndarray) -> float:
    moments = [number for part in (fake, real) for number in (part.mean(0), np.cov(part, rowvar=False))]
    try:
        with _matrix_root(module):
            return float(module.frechet_distance(*moments))
    except ValueError as error:
        raise Unfit(
            f"clean_fid: clean-fid gives up ({error}); use more images, or fid, which has no matrix root"
        ) from None


# Any: as above.
@contextmanager
def _matrix_root(module: Any) -> Iterator[None]:
    """Context in which its matrix root accepts the arguments of SciPy before 1.18."""
    from scipy.linalg import sqrtm

    def root(matrix: np.ndarray, disp: bool = True) -> Any:
        found = sqrtm(matrix)
        return found if disp else (found, 0.0)

    before = module.linalg
    module.linalg = SimpleNamespace(sqrtm=root)
    try:
        yield
    finally:
        module.linalg = before


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    before = np.random.get_state()
    np.random.seed(seed)
    try:
        yield
    finally:
        np.random.set_state(before)


BIBTEX = r"""
@misc{parmar2021aliased,
  title = {On Aliased Resizing and Surprising Subtleties in {GAN} Evaluation},
  author = {Parmar, Gaurav and Zhang, Richard and Zhu, Jun-Yan},
  year = {2021},
  eprint = {2104.11222},
  archivePrefix = {arXiv},
}
"""


@hookimpl
def mgbench_metrics() -> Mapping[str, type[Metric]]:
    return {"clean_fid": CleanFid}


@hookimpl
def mgbench_references() -> dict[str, str]:
    return by_key(BIBTEX)
