"""What a component of each kind must be able to do, and the names of the shapes that pass between them.

Symbols: B images in a batch; N tokens an image; K codes; D numbers in a continuous token; W width of the network; R rows,
one a token picked from a batch; C, H, W' channels, height, width of images. Time t runs in [0, 1] and t = 1 is fully masked;
γ(t) is the share of tokens masked at t. A mask is True where a token is masked. A label of -1 means "no label".

Every component is a frozen dataclass whose fields are its options. Two attributes are optional on all of them:
`asks`, names of further kinds it needs (its process, and what the process asks, decide what a recipe consists of), and
`check(parts, space)`, which raises `Unfit` when the component cannot work with the others.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

if TYPE_CHECKING:
    from torch import Generator, Tensor, nn

    from mgbench.streams import Streams

UNLABELLED = -1


@dataclass(frozen=True)
class TokenSpace:
    """What a tokenizer's tokens are: `length` of them an image, codes out of `codes` or vectors of `dim` numbers."""

    length: int
    dim: int
    codes: int | None = None
    grid: tuple[int, int] | None = None


@dataclass(frozen=True)
class ImageData:
    """Real images uint8 [M,C,H,W'] and their labels int64 [M] (None: no labels), for training and held out."""

    train: "Tensor"
    train_labels: "Tensor | None"
    test: "Tensor"
    test_labels: "Tensor | None"
    class_names: tuple[str, ...] = ()
    licence: str = ""

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of every image."""
        channels, height, width = self.train.shape[1:]
        return channels, height, width

    @cached_property
    def fingerprint(self) -> str:
        """A hash of every pixel and label (16 hexadecimal digits)."""
        hashed = hashlib.sha256()
        for part in (self.train, self.train_labels, self.test, self.test_labels):
            if part is not None:
                hashed.update(repr((tuple(part.shape), part.dtype)).encode())
                hashed.update(part.contiguous().numpy().tobytes())
        return hashed.hexdigest()[:16]


@dataclass(frozen=True)
class Features:
    """What an extractor says of M images: features [M,F], class logits [M,K] if it has them, and the labels asked for [M]."""

    features: "Tensor"
    logits: "Tensor | None" = None
    labels: "Tensor | None" = None


@dataclass(frozen=True)
class Step:
    """One sampling step from time t to s < t.

    `share_now` and `share_then` are the shares of tokens masked before and after it; `reveal` is how many tokens every image
    reveals, or None where each image draws its own number.
    """

    index: int
    total: int
    t: float
    s: float
    share_now: float
    share_then: float
    reveal: int | None = None


@dataclass(frozen=True)
class State:
    """Unfinished images: tokens [B,N] int64 or [B,N,D] float, and the mask [B,N]."""

    tokens: "Tensor"
    mask: "Tensor"


@dataclass(frozen=True)
class Request:
    """What to sample: labels int64 [B], how many steps, one random stream per image, and one shared by the whole run."""

    labels: "Tensor"
    steps: int
    images: "Streams"
    shared: "Streams"


class Parts(SimpleNamespace):
    """The components of one recipe by kind; a kind that nothing asks is absent."""

    process: "Process"
    dataset: "Dataset"
    tokenizer: "Tokenizer"
    network: "Network"
    head: "Head"
    mask_schedule: "MaskSchedule"
    masking: "Masking"
    loss_weighting: "LossWeighting"
    sampling_schedule: "MaskSchedule"
    sampler: "Sampler"
    guidance_schedule: "GuidanceSchedule"
    solver: "Solver"
    extractor: "Extractor"
    metrics: "tuple[Metric, ...]"
    labels: bool


class Process(Protocol):
    """How does an unfinished image become a finished one?"""

    asks: ClassVar[tuple[str, ...]]

    def build(self, parts: Parts, space: TokenSpace, classes: int) -> "nn.Module":
        """The model to train. Calls of its child `network` are what NFE counts; its other children are counted beside it."""

    def loss(
        self, model: "nn.Module", parts: Parts, tokens: "Tensor", labels: "Tensor", generator: "Generator"
    ) -> "Tensor":
        """The training loss (a scalar) of a batch of tokens [B,N] or [B,N,D] with labels int64 [B]."""

    def sample(self, model: "nn.Module", parts: Parts, space: TokenSpace, request: Request) -> Iterator[State]:
        """Yield the state after every step; the last one has no token masked."""


class Dataset(Protocol):
    """What are the images?"""

    extractor: ClassVar[str]

    def load(self) -> ImageData:
        """Read or draw the images; the same options give the same images."""


class TokenizerModule(Protocol):
    """A tokenizer for images of one shape; a `torch.nn.Module` whose state is all there is to save."""

    space: TokenSpace

    def fit(self, images: "Tensor", seed: int) -> None:
        """Learn from images uint8 [M,C,H,W'] whatever there is to learn."""

    def encode(self, images: "Tensor") -> "Tensor":
        """Images uint8 [B,C,H,W'] to tokens, int64 [B,N] or float [B,N,D]."""

    def decode(self, tokens: "Tensor") -> "Tensor":
        """Tokens to images uint8 [B,C,H,W']."""


class Tokenizer(Protocol):
    """What is a token?"""

    def build(self, shape: tuple[int, int, int]) -> Any:
        """A `TokenizerModule`, not yet fitted, for images of this shape (C, H, W').

        Raises:
            Unfit: if it cannot cut such images.
        """


class NetworkModule(Protocol):
    """A `torch.nn.Module` that turns partly masked tokens into one vector a token."""

    width: int

    def __call__(self, tokens: "Tensor", mask: "Tensor", labels: "Tensor") -> "Tensor":
        """Tokens, mask [B,N] and labels int64 [B] (-1: none) to z [B,N,W]. What lies under the mask is never looked at."""


class Network(Protocol):
    """What does the model see around a token?"""

    def build(self, space: TokenSpace, classes: int) -> Any:
        """A `NetworkModule` for such tokens and this many classes (0: no labels at all)."""


class HeadModule(Protocol):
    """A `torch.nn.Module` that draws the value of a token from its z; its forward is one evaluation."""

    def loss(self, z: "Tensor", values: "Tensor", generator: "Generator") -> "Tensor":
        """The loss [R] of rows z [R,W] whose true values are int64 [R] or float [R,D]."""

    def sample(
        self, z: "Tensor", z_uncond: "Tensor | None", scale: float, draws: "Streams", solver: "Solver | None"
    ) -> "tuple[Tensor, Tensor | None]":
        """Values of rows z [R,W], and the log-probability [R] of each if it has one.

        With `z_uncond` the prediction is moved from the unconditional one by `scale` (1: plain conditional).
        """


class Head(Protocol):
    """What value does a masked token take, given z?"""

    def build(self, space: TokenSpace, width: int) -> Any:
        """A `HeadModule` for such tokens and a network of this width."""


class MaskSchedule(Protocol):
    """What share of the tokens is masked at time t?"""

    def __call__(self, t: "Tensor") -> "Tensor":
        """γ(t), elementwise: never falling, about 0 at t = 0 and about 1 at t = 1, differentiable in between."""


class Masking(Protocol):
    """How many tokens of each training image are masked, and which?"""

    def draw(self, schedule: MaskSchedule, batch: int, tokens: int, generator: "Generator") -> "tuple[Tensor, Tensor]":
        """A mask bool [B,N] with at least one token masked in every row, and the times [B] it was drawn at."""


class LossWeighting(Protocol):
    """How much does t count in the loss?"""

    def __call__(self, schedule: MaskSchedule, t: "Tensor") -> "Tensor":
        """The weight of each time, same shape as t."""


class Sampler(Protocol):
    """Which tokens are revealed next?

    `needs_confidence` says that values are drawn for all masked tokens first and then chosen by their probability; otherwise
    positions are chosen first, and the head is paid for only there.
    """

    needs_confidence: ClassVar[bool]

    def plan(self, schedule: MaskSchedule, tokens: int, steps: int, shared: "Streams") -> Iterable[Step]:
        """The steps to take, at most `steps` of them; a step that would reveal nothing is left out."""

    def choose(self, mask: "Tensor", confidence: "Tensor | None", step: Step, draws: "Streams") -> "Tensor":
        """The mask [B,N] after the step, given log-probabilities [B,N] if they were asked for; `draws` has a stream an image."""


class GuidanceSchedule(Protocol):
    """How hard do we push towards the label at this step?"""

    def __call__(self, step: Step) -> float:
        """The guidance scale w of u + w (c - u); 1 needs no unconditional pass."""


class Solver(Protocol):
    """How does the diffusion head go from noise to a value?"""

    def solve(
        self, denoise: "Callable[[Tensor, float], tuple[Tensor, Tensor]]", betas: "Tensor", dim: int, draws: "Streams"
    ) -> "Tensor":
        """Values float [R,D]. `denoise(x [R,D], time)` gives the noise prediction and the variance value, both [R,D];
        `betas` float64 [T] is the head's noise table; `draws` has one stream a row.
        """


class ExtractorModule(Protocol):
    """A `torch.nn.Module` in evaluation mode; `id` is its name with a hash of its weights."""

    id: str

    def __call__(self, images: "Tensor") -> Features:
        """Features (and logits) of images uint8 [B,3,H,W']."""


class Extractor(Protocol):
    """What does an image look like to a metric?"""

    def build(self) -> Any:
        """An `ExtractorModule`, its weights loaded."""


class Metric(Protocol):
    """How far are the images from the real ones?"""

    def __call__(self, generated: Features, reference: Features) -> Mapping[str, float]:
        """Numbers by name, from features float64 on the CPU."""
