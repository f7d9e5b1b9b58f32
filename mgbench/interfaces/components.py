"""Protocols of components, one for each kind, and the symbols used for tensor shapes.

Symbols: B images in a batch; N tokens per image; K codes; D dimensions of a continuous token; W width of the network; R
rows, one for each token selected from a batch; C, H, W' channels, height, width of images. Time t runs in [0, 1] and t
= 1 is fully masked; γ(t) is the share of tokens masked at t. A mask is True where a token is masked. A label of -1
means "no label".

Every component is a frozen dataclass whose fields are its options. Optional attributes of components, such as `asks`,
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

# One evaluation of the head: from x [R,D] and a time, the prediction [R,D] and, if learned, the variance value [R,D].
Predict = Callable[["Tensor", float], "tuple[Tensor, Tensor | None]"]
# The module that a process builds, and later receives for training and sampling.
M = TypeVar("M", bound="nn.Module")


class Parts(SimpleNamespace):
    """The components of one recipe by kind; a kind that no component uses is absent."""

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

    # Any: a component, by its kind.
    def change(self, **others: Any) -> "Parts":
        """These components, with others in place of some or beside them."""
        return Parts(**{**vars(self), **others})


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
        """The model to train. NFE counts the calls of its child `network`; calls of other children are counted
        separately.
        """

    def loss(self, model: M, parts: Parts, tokens: "Tensor", labels: "Tensor", generator: "Generator") -> "Tensor":
        """The training loss (a scalar) of a batch of tokens [B,N] or [B,N,D] with labels int64 [B]."""

    def sample(self, model: M, parts: Parts, space: TokenSpace, request: "Request") -> Iterator["State"]:
        """Yield the state after every step; in the last one no token is masked."""


class Dataset(Component, Protocol):
    """What are the images?"""

    extractor: ClassVar[str]

    def load(self) -> ImageData:
        """Read or generate the images; equal options give equal images."""


class Tokenizer(Component, Protocol):
    """What is a token?"""

    def build(self, shape: tuple[int, int, int]) -> TokenizerModule:
        """An unfitted tokenizer for images of this shape (C, H, W').

        Raises:
            Unfit: if the tokenizer does not support this shape.
        """


class Network(Component, Protocol):
    """What does the model see around a token?"""

    def build(self, space: TokenSpace, classes: int) -> NetworkModule:
        """A network for these tokens and this number of classes (0: unlabelled data)."""


class Head(Component, Protocol):
    """What value does a masked token take?"""

    def build(self, space: TokenSpace, width: int) -> "HeadModule":
        """A head for these tokens and a network of this width."""


class HeadModule(Module, Protocol):
    """A `torch.nn.Module` that samples the value of a token given z; one forward pass is one evaluation.

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
        """Sample values for rows z [R,W], with one random stream per row.

        With `z_uncond` [R,W] the prediction is guided: `guided(conditional, unconditional, scale)`; scale 1 is
        conditional. `parts` holds the components that the head asks for. A `temperature` T samples a code with
        probability proportional to p^(1/T) (0: the most likely code); the probabilities returned are those of p.
        """


class MaskSchedule(Component, Protocol):
    """What share of the tokens is masked at time t?"""

    def __call__(self, t: "Tensor") -> "Tensor":
        """γ(t), elementwise: non-decreasing, about 0 at t = 0 and about 1 at t = 1, differentiable in between."""


class Masking(Component, Protocol):
    """How many tokens of a training image are masked, and which?"""

    def draw(self, schedule: MaskSchedule, batch: int, tokens: int, generator: "Generator") -> "tuple[Tensor, Tensor]":
        """A mask bool [B,N] and its times float [B]; every row has a masked token, unless an option says otherwise."""


class LossWeighting(Component, Protocol):
    """How much does t count in the loss?"""

    def __call__(self, schedule: MaskSchedule, t: "Tensor", mask: "Tensor") -> "Tensor":
        """The weights float [B,N] of the token losses, whose weighted sum is the loss of the batch; t float [B], mask
        bool [B,N].

        The head is evaluated only where the weight is not 0.
        """


class TimeGrid(Component, Protocol):
    """At which times does sampling stop?"""

    def __call__(self, steps: int) -> "Tensor":
        """Times float64 [steps + 1], decreasing from 1 to about 0."""


class Sampler(Component, Protocol):
    """Which tokens are revealed next?"""

    requires: ClassVar["Requires"]

    def plan(self, schedule: MaskSchedule, space: TokenSpace, times: "Tensor", shared: "Streams") -> Iterable["Step"]:
        """The steps between the times float64 [T + 1], at most T; steps that reveal no token in any image are left out."""

    def choose(self, view: "SamplerInput", step: "Step", rng: "Streams") -> "Tensor":
        """The mask bool [B,N] after the step; `rng` has one stream per image. Visible tokens may be masked again."""


class Reuse(Component, Protocol):
    """Must the network be asked in this step?"""

    def __call__(self, step: "Step") -> "Asked":
        """The predictions to compute in this step; images without a cached prediction that fits are always computed."""


class GuidanceSchedule(Component, Protocol):
    """How hard do we push towards the label at this step?"""

    def __call__(self, step: "Step") -> float:
        """The guidance scale w in u + w (c − u); 1 needs no unconditional pass."""


class Solver(Component, Protocol):
    """How does the head go from noise to a value?

    It evaluates the head `steps` times, unless it has `evaluations`. With `path` "noise" it follows a table of noise
    levels, and predictions are of the noise; with "velocity" it follows the line x_t = (1 − t) x_0 + t ε, and
    predictions are of ε − x_0.
    """

    path: ClassVar[Literal["noise", "velocity"]]
    steps: int

    def solve(self, predict: "Predict", betas: "Tensor", dim: int, rng: "Streams") -> "Tensor":
        """Sample values float [R,D]; `rng` has one stream per row. Times are indices into `betas` float64 [T], possibly
        fractional; for "velocity" the table is empty, and times lie in [0, 1].
        """


class CodeDraw(Component, Protocol):
    """Which codes may be drawn, and how boldly?"""

    def __call__(self, logits: "Tensor") -> "Tensor":
        """The logits to sample from, float64 [R,K], given those of the head [R,K]; −∞ for excluded codes."""


class Extractor(Component, Protocol):
    """What does an image look like to a metric?"""

    def build(self) -> ExtractorModule:
        """The extractor in evaluation mode, its weights loaded.

        Raises:
            UserError: if the weights are missing, or their checksum differs.
        """


class Metric(Component, Protocol):
    """How far are the images from the real ones?

    Optional: `scores` declares the numbers that it may return, by name. An undeclared number is named with the
    extractor and shown without bold type, Pareto front or best value, because its better direction is unknown.
    """

    def __call__(self, generated: Features, reference: Features) -> Mapping[str, float]:
        """The numbers of the metric by name, from features float64 [M,F] on the CPU.

        Raises:
            Unfit: if something that the metric needs is missing; the metric is then left out with this reason.
            Partly: if only some of its numbers can be computed; the exception carries those.
        """


# The state of a metric after a set of images: named tensors on the CPU, which can be stored and sent.
MetricState = Mapping[str, "Tensor"]


class MergeableMetric(Metric, Protocol):
    """A metric that reads images batch by batch and keeps a state instead of all features.

    A state is never changed in place. `compute` accepts states with or without the optional `finish` applied.
    """

    def update(self, state: MetricState | None, seen: Features) -> MetricState:
        """The state after one more batch of features [B,F]; `None` is the state before the first batch."""

    def merge(self, one: MetricState, other: MetricState) -> MetricState:
        """The state of the union of two sets of images."""

    def compute(self, generated: MetricState, reference: MetricState) -> Mapping[str, float]:
        """The numbers of the metric, equal up to rounding to those from all features at once; raises as the metric
        itself.
        """


class ReferenceMetric(Metric, Protocol):
    """A metric that needs all features at once, part of whose work looks at the real images alone.

    That part is done once per reference and stored: `compare(g, r, of_reference(r))` equals `metric(g, r)`.
    """

    def of_reference(self, reference: Features) -> MetricState:
        """The part about real images, without held-out ones; raises as the metric itself."""

    def compare(self, generated: Features, reference: Features, known: MetricState) -> Mapping[str, float]:
        """The numbers of the metric, given what is `known` of the reference; raises as the metric itself."""
