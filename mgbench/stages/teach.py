"""Training with a teacher, the frozen trained model of another recipe."""

from torch import nn

from mgbench.interfaces import optional
from mgbench.interfaces.components import Parts, Teacher


def taught(parts: Parts, model: nn.Module, teacher: Teacher) -> Parts:
    """The components of a training with its teacher; the model is initialised from it if the process has `begin`."""
    with_teacher = parts.change(teacher=teacher)
    optional.begin(parts.process, model, with_teacher)
    return with_teacher
