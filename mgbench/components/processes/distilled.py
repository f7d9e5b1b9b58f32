"""Building blocks of processes that learn from a masked model of codes: the same networks, the same weights, its
probabilities.
"""

from typing import cast

import torch
from torch import Generator, Tensor, nn

from mgbench.components.processes.masked import MaskedModel
from mgbench.errors import Unfit
from mgbench.interfaces.components import Parts
from mgbench.interfaces.data import UNLABELLED, TokenSpace
from mgbench.interfaces.sampling import guided

# Instead of −∞, because 0·∞ is NaN.
IMPOSSIBLE = -1e4


class LogitsOf(MaskedModel):
    """A masked model of codes, with logits float [B,N,K] as output."""

    def forward(self, tokens: Tensor, mask: Tensor, labels: Tensor) -> Tensor:
        return self.logits(self.network(tokens, mask, labels))

    def logits(self, z: Tensor) -> Tensor:
        """Logits [R,K], [B,N,K] or [C,R,K], at least float32 and at least `IMPOSSIBLE`, of z [R,W], [B,N,W] or [C,R,W]."""
        logits: Tensor = cast("nn.Module", self.head)(z.flatten(0, -2))
        precise = torch.promote_types(logits.dtype, torch.float32)
        return logits.reshape(*z.shape[:-1], -1).to(precise).clamp_min(IMPOSSIBLE)


def check_codes(name: str, space: TokenSpace) -> None:
    """Check that tokens are codes, for the process `name`.

    Raises:
        Unfit: if they are vectors.
    """
    if not space.codes:
        raise Unfit(f"{name} draws codes, and this tokenizer makes vectors; take tokenizer=kmeans")


def check_same(name: str, parts: Parts, taught_by: Parts) -> None:
    """Check that the process `name` has the network and the head of its teacher.

    Raises:
        Unfit: if one differs.
    """
    for kind in ("network", "head"):
        if getattr(taught_by, kind, None) != getattr(parts, kind):
            raise Unfit(f"{name} starts from the weights of its teacher, whose {kind} is another; give both the same")


def begin_as(teacher: MaskedModel, *students: LogitsOf) -> None:
    """Copy the weights of a teacher's network and head to students."""
    for student in students:
        student.network.load_state_dict(teacher.network.state_dict())
        student.head.load_state_dict(teacher.head.state_dict())


@torch.no_grad()
def taught_log_p(teacher: MaskedModel, tokens: Tensor, mask: Tensor, labels: Tensor, scale: float = 1.0) -> Tensor:
    """Log p float [B,N,K] of a teacher's codes, guided at a scale, for tokens int64 [B,N], mask bool [B,N] and labels
    int64 [B].
    """
    ask = LogitsOf(teacher.network, teacher.head)
    logits: Tensor = ask(tokens, mask, labels)
    if scale != 1:
        logits = guided(logits, ask(tokens, mask, torch.full_like(labels, UNLABELLED)), scale)
    return logits.log_softmax(-1)


def drawn_from(logits: Tensor, generator: Generator) -> Tensor:
    """Codes int64 [B,N] drawn from logits float [B,N,K]."""
    uniform = torch.rand(logits.shape, generator=generator, device=logits.device, dtype=logits.dtype)
    return (logits - (-uniform.clamp_min(torch.finfo(logits.dtype).tiny).log()).log()).argmax(-1)
