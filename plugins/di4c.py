"""Di4C: few steps with correlated tokens, by a mixture over whole images (Hayakawa et al., arXiv:2410.08709).

A masked model draws the tokens of one step independently. Here all tokens that an image draws in a step share a latent
λ: p(x_s | x_t) = E_λ Π_n p(x_s^n | x_t, λ). A mixture of products can hold any joint distribution, in particular that of
many steps of the teacher, a masked model, from whose weights the student starts.

As in the paper, two losses are added, for an image x_t with some tokens masked. The data loss is −log q(x) of the training
image x under the mixture q. In the consistency loss, the teacher reveals some of the masked tokens, and the student the
others after it, to give x; the loss is the divergence of the marginals q_n from the teacher's, minus log q(x) − Σ_n log
q_n(x^n) (the paper's control variates: of what is drawn, only the dependence of tokens is learnt).

Differences from the paper:

- λ is one of `components` values with learned embeddings instead of a number in [0, 1], and the mixture is an exact sum
  instead of an estimate from a few λ.
- λ acts behind the network, by a small layer before the head, instead of as an input, so that all of its values cost one
  evaluation of the network.
- The marginals of the consistency loss are the teacher's at x_t; in the paper, they are the student's one step later.
- The data loss has no control variates. Where a model remembers its training images, they reward marginals that are
  broader than the teacher's: on digits, by 0.2 nats after 1,800 steps.
- The teacher reveals a random share `taught` of the masked tokens, instead of those of a twentieth of the time. The share
  `data` is constant, instead of a tenth at most, falling with time. The divergence of the marginals takes the place of a
  separate distillation loss for the last step.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, cast

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional

from mgbench.components.networks.norm import LayerNorm
from mgbench.components.processes.distilled import (
    LogitsOf,
    begin_as,
    check_codes,
    check_same,
    drawn_from,
    taught_log_p,
)
from mgbench.components.processes.masked import Masked, MaskedModel
from mgbench.components.schedules.guidance_schedules import advise_label_drop
from mgbench.hookspecs import hookimpl
from mgbench.interfaces.bibtex import by_key
from mgbench.interfaces.components import HeadModule, Parts
from mgbench.interfaces.data import UNLABELLED, TokenSpace
from mgbench.interfaces.modules import NetworkModule
from mgbench.interfaces.randomness import Streams
from mgbench.interfaces.sampling import Request, State
from mgbench.recipes.recipe import Recipe
from mgbench.recipes.spec import Count, Share


class MixtureModel(LogitsOf):
    """A network and a head of codes, with a layer of `width` units between them that depends on the component."""

    def __init__(self, network: NetworkModule, head: HeadModule, components: int, width: int) -> None:
        super().__init__(network, head)
        self.norm = LayerNorm(network.width, elementwise_affine=False)
        self.of_z = nn.Linear(network.width, width)
        self.of_component = nn.Embedding(components, width)
        self.out = nn.Linear(width, network.width)

    @property
    def components(self) -> int:
        """The number of components."""
        return self.of_component.num_embeddings

    def under(self, z: Tensor, component: Tensor) -> Tensor:
        """Z float [R,W] or [B,N,W] changed by components int64 of a shape that broadcasts against its rows."""
        hidden = self.of_z(self.norm(z.to(self.out.weight.dtype))) + self.of_component(component)
        changed: Tensor = z + self.out(functional.silu(hidden))
        return changed

    def log_p(self, z: Tensor) -> Tensor:
        """Log p float [C,R,K] of every code under each of C components, given z float [R,W]."""
        every = torch.arange(self.components, device=z.device)[:, None]
        return self.logits(self.under(z, every)).log_softmax(-1)

    def with_latent(self, z: Tensor, streams: Streams) -> Tensor:
        """Z float [R,W] under the component that each of R streams draws."""
        return self.under(z, (streams.uniform(1)[:, 0] * self.components).long())


class _Marginals(nn.Module):
    """The head of a mixture for one token, whose distribution is the mean over components."""

    def __init__(self, model: MixtureModel) -> None:
        super().__init__()
        self.model = model

    def log_likelihood(self, z: Tensor, values: Tensor) -> Tensor:
        """Log p float64 [R] of codes int64 [R] given z [R,W]."""
        return _mean(self.model.log_p(z).double()).gather(-1, values[:, None]).squeeze(-1)


@dataclass(frozen=True)
class Mixture:
    """Masked image generation in which the tokens drawn in one step share one of `components` values of a latent,
    distilled from a teacher (arXiv:2410.08709).

    `width` is that of the layer that takes the latent. The loss is on training images by a share `data`, and for the rest
    on images of which the teacher reveals a share `taught` of the masked tokens, and the student the others. A share
    `label_drop` of the training images has no label.
    """

    components: Count = 16
    width: Count = 128
    data: Share = 0.5
    taught: Share = 0.5
    label_drop: Share = 0.1
    asks: ClassVar[tuple[str, ...]] = (
        "network",
        "head",
        "mask_schedule",
        "masking",
        "sampling_schedule",
        "time_grid",
        "sampler",
        "reuse",
        "guidance_schedule",
    )
    needs_teacher: ClassVar[bool] = True

    def check(self, parts: Parts, space: TokenSpace) -> None:
        check_codes("mixture", space)

    def check_teacher(self, parts: Parts, taught_by: Parts) -> None:
        check_same("mixture", parts, taught_by)

    def advise(self, parts: Parts, space: TokenSpace) -> tuple[str, ...]:
        return advise_label_drop(parts, self.label_drop)

    def build(self, parts: Parts, space: TokenSpace, classes: int) -> MixtureModel:
        network = parts.network.build(space, classes)
        return MixtureModel(network, parts.head.build(space, network.width), self.components, self.width)

    def begin(self, model: MixtureModel, parts: Parts) -> None:
        """Copy the weights of the teacher; components differ a little from the start, because equal ones have no
        gradient apart.
        """
        begin_as(parts.teacher.model, model)

    def loss(self, model: MixtureModel, parts: Parts, tokens: Tensor, labels: Tensor, generator: Generator) -> Tensor:
        """The weighted mean of the two losses in nats per masked token, a scalar; tokens int64 [B,N], labels int64 [B]."""
        mask, _ = parts.masking.draw(parts.mask_schedule, len(tokens), tokens.shape[1], generator)
        dropped = torch.rand(labels.shape, generator=generator, device=labels.device) < self.label_drop
        labels = labels.masked_fill(dropped, UNLABELLED)
        taught = taught_log_p(parts.teacher.model, tokens, mask, labels)
        goal = self._two_steps(model, taught, tokens, mask, labels, generator)
        rows = mask.flatten().nonzero().squeeze(1)
        log_p = model.log_p(model.network(tokens, mask, labels).flatten(0, 1)[rows])
        wanted, image = taught.flatten(0, 1)[rows], rows // tokens.shape[1]
        apart = (wanted.exp() * (wanted - _mean(log_p))).sum()
        of_data, _ = self.log_mixture(log_p, tokens.flatten()[rows], image, len(tokens))
        of_goal, independent = self.log_mixture(log_p, goal.flatten()[rows], image, len(tokens))
        consistency = apart - (of_goal - independent)
        loss: Tensor = ((1 - self.data) * consistency - self.data * of_data) / len(rows)
        return loss.float()

    @staticmethod
    def log_mixture(log_p: Tensor, codes: Tensor, image: Tensor, images: int) -> tuple[Tensor, Tensor]:
        """Σ log q(x) over `images` for a mixture q of products, and Σ log of the product of its marginals, scalars.

        From log p float [C,R,K] of each component, and codes and indices of images, int64 [R] each.
        """
        of_code = log_p.gather(-1, codes.expand(len(log_p), -1)[..., None]).squeeze(-1)
        joint = of_code.new_zeros(len(log_p), images).index_add(1, image, of_code)
        return _mean(joint).sum(), _mean(of_code).sum()

    @torch.no_grad()
    def _two_steps(
        self, model: MixtureModel, taught: Tensor, tokens: Tensor, mask: Tensor, labels: Tensor, generator: Generator
    ) -> Tensor:
        """Codes int64 [B,N] in which the teacher, with log p float [B,N,K], draws a share of the masked tokens, and the
        student the others.
        """
        left = mask & (torch.rand(mask.shape, generator=generator, device=mask.device) >= self.taught)
        between = torch.where(mask & ~left, drawn_from(taught, generator), tokens)
        component = torch.randint(model.components, (len(tokens), 1), generator=generator, device=tokens.device)
        own = model.logits(model.under(model.network(between, left, labels), component))
        return torch.where(left, drawn_from(own, generator), between)

    def bound(
        self, model: MixtureModel, parts: Parts, space: TokenSpace, tokens: Tensor, labels: Tensor, generator: Generator
    ) -> Tensor | None:
        """As `Masked.bound`, for one token at a time, which is drawn from the mean over components: [B] in nats, or None.

        Tokens are int64 [B,N], labels int64 [B].
        """
        single = MaskedModel(model.network, cast("HeadModule", _Marginals(model)))
        return Masked().bound(single, parts, space, tokens, labels, generator)

    def sample(self, model: MixtureModel, parts: Parts, space: TokenSpace, request: Request) -> Iterator[State]:
        """As `Masked.sample`; each image draws a component in each step (`MixtureModel.with_latent`)."""
        return Masked().sample(model, parts, space, request)


def _mean(log_p: Tensor) -> Tensor:
    """The logarithm of the mean over the first axis of probabilities, given their logarithms float [C,...]."""
    return log_p.logsumexp(0) - math.log(len(log_p))


# Codes, network, head, masks and sampler of its teacher, and few steps.
DI4C = Recipe.of(
    process="mixture",
    teacher="maskgit",
    tokenizer="kmeans(codes=128, size=2)",
    network="transformer",
    head="categorical(label_smoothing=0.1)",
    mask_schedule="cosine",
    masking="exact(rounding=ceil)",
    sampler="maskgit(temperature=2.0)",
    guidance_schedule="none",
    train_steps=800,
    ema=0.998,
    sampling_steps=4,
)

BIBTEX = r"""
@misc{hayakawa2024distillation,
  title = {Distillation of Discrete Diffusion through Dimensional Correlations},
  author = {Hayakawa, Satoshi and Takida, Yuhta and Imaizumi, Masaaki and Wakaki, Hiromi and Mitsufuji, Yuki},
  year = {2024},
  eprint = {2410.08709},
  archivePrefix = {arXiv},
}
"""


@hookimpl
def mgbench_processes() -> dict[str, type]:
    return {"mixture": Mixture}


@hookimpl
def mgbench_recipes() -> dict[str, Recipe]:
    return {"di4c": DI4C}


@hookimpl
def mgbench_references() -> dict[str, str]:
    return by_key(BIBTEX)
