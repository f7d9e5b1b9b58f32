"""Protocols of components, one for each kind, and the symbols of the shapes that pass between them.

Symbols: B images in a batch; N tokens an image; K codes; D numbers in a continuous token; W width of the network; R rows,
one a token picked from a batch; C, H, W' channels, height, width of images. Time t runs in [0, 1] and t = 1 is fully masked;
γ(t) is the share of tokens masked at t. A mask is True where a token is masked. A label of -1 means "no label".

Every component is a frozen dataclass whose fields are its options. Attributes that a component may also have, such as `asks`,
`check` and `files`, are described in `mgbench.interfaces.optional`.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, TypeVar

from mgbench.interfaces.data import ExtractorModule, Features, ImageData, TokenSpace
from mgbench.interfaces.modules import NetworkModule, TokenizerModule
from mgbench.interfaces.torch_module import Module

if TYPE_CHECKING:
    from torch import Generator, Tensor, nn

    from mgbench.interfaces.randomness import Streams
    from mgbench.interfaces.sampling import Asked, Drawn, Request, Requires, SamplerInput, State, Step

# A prediction [R,D] from x [R,D] and a time, and the variance value [R,D] if one was learned: one evaluation of the head.
Predict = Callable[["Tensor", float], "tuple[Tensor, Tensor | None]"]
# The module that a process builds, and is given again to train and to sample.
M = TypeVar("M", bound="nn.Module")


class Parts(SimpleNamespace):
    """The components of one recipe by kind; a kind that nothing asks is absent."""

    process: "Process[Any]"
    dataset: "Dataset"
    tokenizer: "Tokenizer"
    network: "Network"
    head: "Head"
    mask_schedule: "MaskSchedule"
    masking: "Masking"
    loss_weighting: "LossWeighting"
    sampling_schedule: "MaskSchedule"
    time_grid: "TimeGrid"
    sampler: "Sampler"
    reuse: "Reuse"
    guidance_schedule: "GuidanceSchedule"
    solver: "Solver"
    code_draw: "CodeDraw"
    extractor: "Extractor"
    metrics: "tuple[Metric, ...]"
    labels: bool
    teacher: "Teacher"


@dataclass(frozen=True)
class Teacher:
    """A trained model, frozen, in evaluation mode and on the student's device, and the components of its recipe.

    Only the training of a process that needs a teacher has one among its parts.
    """

    model: Any
    parts: Parts


class Component(Protocol):
    """Any component, whatever its kind: a frozen dataclass, so that equal ones have equal hashes."""

    def __hash__(self) -> int: ...


class Process(Component, Protocol[M]):
    """How does an unfinished image become a finished one?"""

    asks: ClassVar[tuple[str, ...]]

    def build(self, parts: Parts, space: TokenSpace, classes: int) -> M:
        """The model to train. Calls of its child `network` are what NFE counts; its other children are counted beside it."""

    def loss(self, model: M, parts: Parts, tokens: "Tensor", labels: "Tensor", generator: "Generator") -> "Tensor":
        """The training loss (a scalar) of a batch of tokens [B,N] or [B,N,D] with labels int64 [B]."""

    def sample(self, model: M, parts: Parts, space: TokenSpace, request: "Request") -> Iterator["State"]:
        """Yield the state after every step; the last one has no token masked."""


class Dataset(Component, Protocol):
    """What are the images?"""

    extractor: ClassVar[str]

    def load(self) -> ImageData:
        """Read or draw the images; the same options give the same images."""


class Tokenizer(Component, Protocol):
    """What is a token?"""

    def build(self, shape: tuple[int, int, int]) -> TokenizerModule:
        """A tokenizer, not yet fitted, for images of this shape (C, H, W').

        Raises:
            Unfit: if it cannot cut such images.
        """


class Network(Component, Protocol):
    """What does the model see around a token?"""

    def build(self, space: TokenSpace, classes: int) -> NetworkModule:
        """A network for such tokens and this many classes (0: no labels at all)."""


class Head(Component, Protocol):
    """What value does a masked token take?"""

    def build(self, space: TokenSpace, width: int) -> "HeadModule":
        """A head for such tokens and a network of this width."""


class HeadModule(Module, Protocol):
    """A `torch.nn.Module` that draws a token's value from z; a forward is one evaluation.

    A head of codes may have `log_likelihood` (`mgbench.interfaces.optional`).
    """

    def loss(self, z: "Tensor", values: "Tensor", generator: "Generator") -> "Tensor":
        """The loss float [R] of rows z [R,W] whose true values are int64 [R] or float [R,D]."""

    def sample(
        self,
        z: "Tensor",
        z_uncond: "Tensor | None",
        scale: float,
        rng: "Streams",
        parts: Parts,
        temperature: float = 1.0,
    ) -> "Drawn":
        """Values of rows z [R,W], drawn with one stream a row.

        With `z_uncond` [R,W] the prediction is `guided` from the unconditional one by `scale` (1: plain conditional). `parts`
        holds the answers to the kinds that the head asks. A `temperature` T draws a code with probability proportional to
        p^(1/T) (0: the likeliest); what is said of probabilities is of p itself.
        """


class MaskSchedule(Component, Protocol):
    """What share of the tokens is masked at time t?"""

    def __call__(self, t: "Tensor") -> "Tensor":
        """γ(t), elementwise: never falling, about 0 at t = 0 and about 1 at t = 1, differentiable in between."""


class Masking(Component, Protocol):
    """How many tokens of a training image are masked, and which?"""

    def draw(self, schedule: MaskSchedule, batch: int, tokens: int, generator: "Generator") -> "tuple[Tensor, Tensor]":
        """A mask bool [B,N] with at least one token masked in every row, unless an option says otherwise, and its times [B]."""


class LossWeighting(Component, Protocol):
    """How much does t count in the loss?"""

    def __call__(self, schedule: MaskSchedule, t: "Tensor", mask: "Tensor") -> "Tensor":
        """The weight [B,N] of every token's loss in the loss of a batch, which is their weighted sum; t [B], mask [B,N].

        The head is trained, and paid for, where the weight is not 0.
        """


class TimeGrid(Component, Protocol):
    """At which times does sampling stop?"""

    def __call__(self, steps: int) -> "Tensor":
        """Times float64 [steps + 1] falling from 1 to about 0."""


class Sampler(Component, Protocol):
    """Which tokens are revealed next?"""

    requires: ClassVar["Requires"]

    def plan(self, schedule: MaskSchedule, space: TokenSpace, times: "Tensor", shared: "Streams") -> Iterable["Step"]:
        """The steps to take along the times [T + 1], at most T; a step in which no image reveals anything is left out."""

    def choose(self, view: "SamplerInput", step: "Step", rng: "Streams") -> "Tensor":
        """The mask [B,N] after the step; `rng` has a stream an image. Visible tokens may be masked again."""


class Reuse(Component, Protocol):
    """Must the network be asked in this step?"""

    def __call__(self, step: "Step") -> "Asked":
        """What it is asked; an image of which nothing fitting is kept is asked all the same."""


class GuidanceSchedule(Component, Protocol):
    """How hard do we push towards the label at this step?"""

    def __call__(self, step: "Step") -> float:
        """The guidance scale w of u + w (c - u); 1 needs no unconditional pass."""


class Solver(Component, Protocol):
    """How does the head go from noise to a value?

    It asks for `steps` predictions, unless it has `evaluations`. `path` "noise" goes along a table of noise with predictions of
    the noise; "velocity" along the straight line x_t = (1 − t) x_0 + t ε with predictions of ε − x_0.
    """

    path: ClassVar[Literal["noise", "velocity"]]
    steps: int

    def solve(self, predict: "Predict", betas: "Tensor", dim: int, rng: "Streams") -> "Tensor":
        """Values float [R,D]; `rng` has one stream a row. Times are those of the table `betas` float64 [T], whole or between;
        for "velocity" the table is empty, and times lie in [0, 1].
        """


class CodeDraw(Component, Protocol):
    """Which codes may be drawn, and how boldly?"""

    def __call__(self, logits: "Tensor") -> "Tensor":
        """The logits to draw from, float64 [R,K], −∞ for codes left out, from those of the head."""


class Extractor(Component, Protocol):
    """What does an image look like to a metric?"""

    def build(self) -> ExtractorModule:
        """The extractor in evaluation mode, its weights loaded.

        Raises:
            UserError: if the weights are not there, or not those that they should be.
        """


class Metric(Component, Protocol):
    """How far are the images from the real ones?

    Optional: `scores`, what it declares of each number that it may return, by name. A number without a declaration is named
    with the extractor and shown without bold, a Pareto front or a best one, because nobody knows which way is better.
    """

    def __call__(self, generated: Features, reference: Features) -> Mapping[str, float]:
        """Numbers by name, from features float64 on the CPU.

        Raises:
            Unfit: if what it needs is not there; the metric is then left out, with this reason.
            Partly: if some of its numbers cannot be given; those that it carries are kept.
        """


# What a metric has to know of a set of images: named tensors on the CPU, which can be stored and sent.
MetricState = Mapping[str, "Tensor"]


class MergeableMetric(Metric, Protocol):
    """A metric that sees a set of images batch by batch, keeping a state instead of their features.

    A state is never changed in place. `compute` takes states as they are and as `finish`, which is optional, returns them.
    """

    def update(self, state: MetricState | None, seen: Features) -> MetricState:
        """The state with one more batch of images; without a state, that of the batch alone."""

    def merge(self, one: MetricState, other: MetricState) -> MetricState:
        """The state of two sets of images together."""

    def compute(self, generated: MetricState, reference: MetricState) -> Mapping[str, float]:
        """The same numbers as from all features at once, to rounding; raises as the metric itself."""
