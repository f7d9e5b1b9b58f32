"""Inception score, FID, KID, precision and recall by torch-fidelity, with the extractor of the recipe.

torch-fidelity 0.4 (Obukhov et al., doi:10.5281/zenodo.3786539). The extractor is passed through its registry. Its cache
is disabled, because it identifies images only by name; features are float64, while by default it averages float32
features; and unknown options, which it ignores silently, are refused.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from mgbench.errors import Partly, Unfit
from mgbench.hookspecs import hookimpl
from mgbench.interfaces.components import Metric
from mgbench.interfaces.data import ExtractorModule, Features
from mgbench.interfaces.images import Images
from mgbench.interfaces.scores import ScoreInfo
from mgbench.recipes.spec import Count

Measure = Literal["isc", "fid", "kid", "prc"]
# Its names of numbers, and ours.
_NAMES = {
    "inception_score_mean": "torch_fidelity_inception_score",
    "frechet_inception_distance": "torch_fidelity_fid",
    "kernel_inception_distance_mean": "torch_fidelity_kid",
    "precision": "torch_fidelity_precision",
    "recall": "torch_fidelity_recall",
}


@dataclass(frozen=True)
class TorchFidelity:
    """Inception score, FID, KID, precision and recall as torch-fidelity computes them from the images
    (arXiv:1606.03498, 1706.08500, 1801.01401, 1904.06991).

    The images are passed through the extractor again, in its own loop. The Inception score is left out without logits,
    and other numbers with too few images; a subset of KID has at most as many images as the smaller set.
    """

    scores: ClassVar[Mapping[str, ScoreInfo]] = {
        "torch_fidelity_inception_score": ScoreInfo("Inception score by torch-fidelity", "higher"),
        "torch_fidelity_fid": ScoreInfo("FID by torch-fidelity", "lower", checks="fid"),
        "torch_fidelity_kid": ScoreInfo("KID by torch-fidelity", "lower"),
        "torch_fidelity_precision": ScoreInfo("Precision by torch-fidelity", "higher"),
        "torch_fidelity_recall": ScoreInfo("Recall by torch-fidelity", "higher"),
    }

    metrics: tuple[Measure, ...] = ("isc", "fid", "kid", "prc")
    isc_splits: Count = 10
    kid_subsets: Count = 100
    kid_subset_size: Count = 1000
    neighbours: Count = 3
    batch: Count = 64

    def __call__(self, generated: Features, reference: Features) -> dict[str, float]:
        """`torch_fidelity_fid` and the like, of images uint8 [M,3,H,W] and [L,3,H,W].

        Raises:
            Unfit: if torch-fidelity is missing or fails, or the images are unknown or too few for any number.
            Partly: if they are too few for some of the numbers; the exception has the others.
        """
        if generated.images is None or reference.images is None or generated.extractor is None:
            raise Unfit("torch_fidelity looks at images itself, and the reference has none at hand; give its images")
        fitting, reasons = self._fitting(len(generated.images), len(reference.images))
        asked = [name for name in fitting if name != "isc" or generated.logits is not None]
        if not asked and not reasons:
            raise Unfit("torch_fidelity: the Inception score needs class logits, and this extractor has none")
        if not asked:
            raise Unfit("; ".join(reasons))
        found = self._asked(asked, generated, reference)
        if reasons:
            raise Partly("; ".join(reasons), found)
        return found

    def check_counts(self, generated: int, reference: int) -> None:
        """Raises `Unfit` with too few images for any of the numbers, and `Partly` with too few for some."""
        fitting, reasons = self._fitting(generated, reference)
        if reasons:
            raise (Partly if fitting else Unfit)("; ".join(reasons))

    def _fitting(self, generated: int, reference: int) -> tuple[list[Measure], list[str]]:
        """The measures that can be computed for these numbers of images, and the reasons for the others.

        With too few images, torch-fidelity raises IndexError, or returns NaN or an Inception score of 1.
        """
        both = min(generated, reference)
        least: dict[Measure, tuple[int, int]] = {
            "isc": (2 * self.isc_splits, generated),
            "fid": (2, both),
            "kid": (2, both),
            "prc": (self.neighbours + 1, both),
        }
        few = [name for name in self.metrics if least[name][1] < least[name][0]]
        reasons = [
            f"torch_fidelity: {name} needs {least[name][0]} images, and there are {least[name][1]}" for name in few
        ]
        return [name for name in self.metrics if name not in few], reasons

    # Any: features with images and an extractor, which their type does not guarantee.
    def _asked(self, asked: list[Measure], generated: Any, reference: Any) -> dict[str, float]:
        library = _library()
        options: dict[str, Any] = {
            **dict.fromkeys(asked, True),
            "input1": _Images(generated.images),
            "input2": _Images(reference.images),
            "feature_extractor": _registered(library, generated.extractor),
            "isc_splits": self.isc_splits,
            "kid_subsets": self.kid_subsets,
            "kid_subset_size": min(self.kid_subset_size, len(generated.images), len(reference.images)),
            "prc_neighborhood": self.neighbours,
            "batch_size": self.batch,
            # The extractor has its own device, the cache is unreliable, and one process is faster than starting
            # several.
            "cuda": False,
            "cache": False,
            "save_cpu_ram": True,
            "verbose": False,
        }
        unknown = options.keys() - library.defaults.DEFAULTS.keys()
        if unknown:
            raise Unfit(f"this torch-fidelity does not know {', '.join(sorted(unknown))}; install version 0.4")
        # Its DataLoader draws a seed from the global random state, although it does not shuffle.
        with torch.random.fork_rng(devices=[]):
            said = library.calculate_metrics(**options)
        return {ours: float(said[theirs]) for theirs, ours in _NAMES.items() if theirs in said}


class _Images(torch.utils.data.Dataset[Tensor]):
    """Images without labels, because torch-fidelity refuses tuples."""

    def __init__(self, images: Images) -> None:
        self._images = images

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index: int) -> Tensor:
        return self._images[index]


def _library() -> Any:
    try:
        import torch_fidelity
        import torch_fidelity.defaults
        import torch_fidelity.feature_extractor_base
        import torch_fidelity.registry
    except Exception as error:
        said = str(error).strip().partition("\n")[0]
        raise Unfit(
            f"torch_fidelity: torch-fidelity does not import ({type(error).__name__}: {said}); pip install torch-fidelity"
        ) from None
    return torch_fidelity


def _registered(library: ModuleType, extractor: ExtractorModule) -> str:
    """The name of an extractor in torch-fidelity's registry, where it is registered if needed."""
    name, known = f"mgbench-{extractor.id}", library.registry.FEATURE_EXTRACTORS_REGISTRY
    if name not in known:
        library.register_feature_extractor(name, _adapter(library))
    # Networks with one id have equal weights, but may be on different devices.
    known[name].seen_through = extractor
    return name


def _adapter(library: ModuleType) -> type:
    class Adapter(library.feature_extractor_base.FeatureExtractorBase):  # type: ignore[misc,name-defined]
        seen_through: Any

        def __init__(self, name: str, features_list: list[str], **options: object) -> None:
            super().__init__(name, features_list)

        @staticmethod
        def get_provided_features_list() -> tuple[str, ...]:
            return "features", "logits"

        @staticmethod
        def get_default_feature_layer_for_metric(metric: str) -> str:
            return "logits" if metric == "isc" else "features"

        @staticmethod
        def can_be_compiled() -> bool:
            return False

        @staticmethod
        def get_dummy_input_for_compile() -> Tensor:
            return torch.zeros(1, 3, 8, 8, dtype=torch.uint8)

        def forward(self, images: Tensor) -> tuple[Tensor, ...]:
            said = self.seen_through(images.to(_device(self.seen_through)))
            return tuple(getattr(said, name).double() for name in self.features_list)

    return Adapter


def _device(module: ExtractorModule) -> torch.device:
    places = [*module.parameters(), *module.buffers()]
    return places[0].device if places else torch.device("cpu")


@hookimpl
def mgbench_metrics() -> Mapping[str, type[Metric]]:
    return {"torch_fidelity": TorchFidelity}
