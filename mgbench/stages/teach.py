"""A training with a teacher: the trained model of another recipe, frozen."""

from torch import nn

from mgbench.interfaces import optional
from mgbench.interfaces.components import Parts, Teacher


def taught(parts: Parts, model: nn.Module, teacher: Teacher) -> Parts:
    """The parts of a training with its teacher among them; the model begins from it where the process says how."""
    with_teacher = Parts(**{**vars(parts), "teacher": teacher})
    optional.begin(parts.process, model, with_teacher)
    return with_teacher
