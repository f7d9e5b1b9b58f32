"""The parameters of a model as one vector, and AdamW on it, so that a step of many small tensors is a few operations."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import AdamW

# Numbers of a vector at whose multiples its pieces start (64 bytes of float32), as kernels ask of their operands.
ALIGNED = 16
MOMENTS = ("exp_avg", "exp_avg_sq")


class Packing:
    """Tensors of the shapes of parameters, as pieces of one vector; each alone where parameters are parts on several ranks.

    The parameters become pieces of `packed`.
    """

    def __init__(self, parameters: Sequence[nn.Parameter]) -> None:
        self.parameters = list(parameters)
        self.is_vector = bool(parameters) and all(map(_packs, parameters))
        self.packed = self.join([parameter.detach() for parameter in parameters])
        for parameter, piece in zip(parameters, self.split(self.packed), strict=True):
            if self.is_vector:
                parameter.data = piece

    def join(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """One vector [L] of the numbers of tensors of any shapes, each followed by zeros up to a multiple of `ALIGNED`."""
        if not self.is_vector:
            return list(tensors)
        flat: list[Tensor] = []
        for tensor in tensors:
            flat.append(tensor.reshape(-1))
            if rest := -tensor.numel() % ALIGNED:
                flat.append(tensor.new_zeros(rest))
        return [torch.cat(flat)]

    def split(self, joined: Sequence[Tensor]) -> list[Tensor]:
        """The tensors, of any shapes, that were joined to a vector [L], whose memory they share."""
        if not self.is_vector:
            return list(joined)
        rows = torch.split(joined[0], [_length(parameter) for parameter in self.parameters])
        return [row[: like.numel()].view(like.shape) for row, like in zip(rows, self.parameters, strict=True)]


class PackedAdamW(AdamW):
    """AdamW whose parameters, gradients and moments are each one vector.

    The numbers and the state are those of `AdamW`. Parameters are updated one by one if they are no vector (`Packing`),
    and from the first step on in which one of them has no gradient.
    """

    def __init__(self, groups: list[dict[str, Any]], lr: float, betas: tuple[float, float]) -> None:
        super().__init__(groups, lr=lr, betas=betas, fused=True)
        self.packing = Packing([parameter for group in groups for parameter in group["params"]])
        # The gradient of the next step, after `clip`.
        self.gradient: Tensor | None = None
        self._state: dict[str, Tensor] | None = None
        self._share()

    def clip(self, longest: float) -> None:
        """Scale the gradients down to the norm `longest`, if theirs is larger."""
        gradients = [parameter.grad for parameter in self.packing.parameters]
        known = [gradient for gradient in gradients if gradient is not None]
        if len(known) < len(gradients):
            self._separate()
        if self._state is None:
            nn.utils.clip_grad_norm_(self.packing.parameters, longest, foreach=True)
            return
        (self.gradient,) = self.packing.join(known)
        # As `clip_grad_norm_`, without a look at the number, for which a GPU would be waited for.
        scale = longest / (torch.linalg.vector_norm(self.gradient) + 1e-6)
        self.gradient.mul_(scale.clamp_(max=1.0))

    # Any: as the method of AdamW.
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update the parameters with the gradients of the last `clip`."""
        if self._state is None or self.gradient is None:
            return super().step(closure)
        steps, overflow = self._state["step"], getattr(self, "found_inf", None)
        steps += 1
        for group, part in self._parts():
            vectors = (*self.packing.packed, self.gradient, *(self._state[name] for name in MOMENTS))
            vector, gradient, first, second = ([one[part]] for one in vectors)
            torch._fused_adamw_(
                vector,
                gradient,
                first,
                second,
                [],
                [steps],
                lr=group["lr"],
                beta1=group["betas"][0],
                beta2=group["betas"][1],
                weight_decay=group["weight_decay"],
                eps=group["eps"],
                amsgrad=False,
                maximize=False,
                found_inf=overflow,
            )
        if overflow is not None:
            steps -= overflow
        self.gradient = None
        return None

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """As the method of AdamW."""
        super().load_state_dict(state_dict)
        self._share()

    def _parts(self) -> Iterator[tuple[dict[str, Any], slice]]:
        """Every group that has parameters, and their part of the vector."""
        start = 0
        for group in self.param_groups:
            end = start + sum(map(_length, group["params"]))
            if end > start:
                yield group, slice(start, end)
            start = end

    def _share(self) -> None:
        """Make the moments pieces of vectors, if all parameters had as many steps."""
        parameters, states = self.packing.parameters, [self.state[one] for one in self.packing.parameters]
        steps = {float(state.get("step", 0)) for state in states}
        if len(steps) > 1 or not self.packing.is_vector:
            self._separate()
            return
        self._state = {"step": torch.tensor(steps.pop(), device=parameters[0].device)}
        for name in MOMENTS:
            known = [state.get(name, torch.zeros_like(one)) for state, one in zip(states, parameters, strict=True)]
            (self._state[name],) = self.packing.join(known)
            for state, piece in zip(states, self.packing.split([self._state[name]]), strict=True):
                state.update({"step": self._state["step"], name: piece})

    def _separate(self) -> None:
        """Count the steps of every parameter alone."""
        self._state = None
        for state in self.state.values():
            if state:
                state["step"] = state["step"].clone()


def _packs(parameter: nn.Parameter) -> bool:
    return type(parameter) is nn.Parameter and type(parameter.data) is Tensor and parameter.dtype == torch.float32


def _length(tensor: Tensor) -> int:
    """The numbers of a tensor, rounded up."""
    return -(-tensor.numel() // ALIGNED) * ALIGNED
