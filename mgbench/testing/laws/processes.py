"""Laws of processes."""

import torch
from torch import Tensor, nn

from mgbench.interfaces.components import Parts, Process
from mgbench.interfaces.data import TokenSpace
from mgbench.interfaces.optional import begin, check_teacher, ignored_settings, likelihood_bound, needs_teacher
from mgbench.interfaces.randomness import Streams
from mgbench.interfaces.sampling import Request
from mgbench.testing.checks import each, need, same, seeded, stirred, tokens_of, world_of
from mgbench.testing.toys import Joint, toy_teacher


def process(component: Process[nn.Module], parts: Parts | None = None, space: TokenSpace | None = None) -> None:
    """The laws of a process with the given components, by default toys that its `check` accepts."""
    joint = Joint.example()
    if parts is None:
        space, parts = world_of(component)
    space = space or joint.space
    torch.manual_seed(0)
    model = component.build(parts, space, joint.classes)
    if needs_teacher(component):
        parts = _taught(component, model, parts, space, joint.classes)
    need("network" in dict(model.named_children()), "the model must have a child `network`, by which NFE is counted")
    tokens, labels = tokens_of(space, 16), torch.arange(16) % joint.classes
    loss, again = (component.loss(model, parts, tokens, labels, seeded()) for _ in range(2))
    need(loss.shape == () and loss.isfinite(), "the loss must be one finite number")
    need(same(loss, again), "the same generator must give the same loss")
    loss.backward()  # type: ignore[no-untyped-call]
    slope = torch.cat([one.grad.flatten() for one in model.parameters() if one.grad is not None])
    need(slope.isfinite().all() and (slope != 0).any(), "the loss must have a gradient, and a finite one")
    _bound(component, model.eval(), parts, space, labels)
    _finish(component, stirred(model), parts, space, labels[:7])


def _taught(component: Process[nn.Module], model: nn.Module, parts: Parts, space: TokenSpace, classes: int) -> Parts:
    """The components with a teacher: the given one, or a masked model of the same components."""
    if "teacher" not in vars(parts):
        parts = parts.change(teacher=toy_teacher(parts, space, classes))
    check_teacher(component, parts, parts.teacher.parts)
    begin(component, model, parts)
    return parts


@torch.no_grad()
def _bound(component: Process[nn.Module], model: nn.Module, parts: Parts, space: TokenSpace, labels: Tensor) -> None:
    tokens = tokens_of(space, len(labels))
    bounds = likelihood_bound(component)
    if bounds is None:
        return
    nats, again = (bounds(model, parts, space, tokens, labels, seeded()) for _ in range(2))
    sound = nats is None or (nats.shape == labels.shape and nats.isfinite().all() and (nats >= 0).all())
    need(sound, "a bound must be finite and [B], never below 0")
    need(same(nats, again), "the same generator must give the same bound")


@torch.no_grad()
def _finish(component: Process[nn.Module], model: nn.Module, parts: Parts, space: TokenSpace, labels: Tensor) -> None:
    def last(rows: Tensor) -> Tensor:
        request = Request(labels[rows], 4, each("images", 7)[rows], Streams.root(0, "shared"))
        states = list(component.sample(model, parts, space, request))
        most = len(states) if "sampling_steps" in ignored_settings(component) else 4
        need(1 <= len(states) <= most, "sampling must take at least one step and at most as many as were asked for")
        need(not states[-1].mask.any(), "sampling must end with nothing masked")
        return states[-1].tokens

    all_rows, some = last(torch.arange(7)), torch.tensor([5, 0, 3])
    shape = tokens_of(space, 7).shape
    need(all_rows.shape == shape, "finished tokens must have the shape that the space says")
    need(same(all_rows, last(torch.arange(7))), "the same streams must give the same images")
    need(same(all_rows[some], last(some), 0 if space.codes else 1e-3), "an image must not depend on its batch")
