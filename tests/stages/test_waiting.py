"""A training step waits for the device a fixed number of times, whatever the batch and the model: each wait idles a GPU."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from mgbench.components.networks.transformers import MAE, Transformer
from tests.stages.test_train import LABELS, RECIPE, TOKENS, training

ATEN = torch.ops.aten
# Kernels whose result has a size, or is a number, that only the device knows.
ASKING = (ATEN._local_scalar_dense, ATEN.nonzero, ATEN.masked_select, ATEN.equal, ATEN.is_nonzero)
INDEXING = (ATEN.index, ATEN.index_put, ATEN.index_put_, ATEN._index_put_impl_)


class Waits(TorchDispatchMode):
    """Counts the kernels, forward and backward, that make the host wait for the device."""

    def __init__(self) -> None:
        super().__init__()
        self.found: Counter[str] = Counter()

    def __torch_dispatch__(self, kernel, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        packet = kernel.overloadpacket
        by_mask = packet in INDEXING and any(one is not None and one.dtype == torch.bool for one in args[1])
        if packet in ASKING or by_mask:
            self.found[str(packet)] += 1
        return kernel(*args, **(kwargs or {}))


@contextmanager
def counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[Counter[str]]:
    """The waits inside the `with`, by what waits; moving numbers to the host is no kernel on a CPU, and is counted by name."""
    with monkeypatch.context() as patched, Waits() as waits:
        for name in ("item", "tolist", "cpu", "numpy"):

            def asking(tensor: Tensor, name: str = name, plain: object = getattr(Tensor, name)) -> object:
                waits.found[name] += 1
                return plain(tensor)  # type: ignore[operator]

            patched.setattr(Tensor, name, asking)
        yield waits.found


def waits_of_a_step(monkeypatch: pytest.MonkeyPatch, network: MAE | Transformer, batch: int) -> Counter[str]:
    started = training(RECIPE.change(batch_size=batch), network=network)
    started._advance(TOKENS, LABELS, torch.Generator())
    with counted(monkeypatch) as found:
        started._advance(TOKENS, LABELS, torch.Generator())
    return found


@pytest.mark.parametrize("network", [MAE, Transformer])
def test_a_training_step_waits_once_for_the_tokens_that_count_and_once_for_the_visible_ones(
    monkeypatch: pytest.MonkeyPatch, network: type[MAE] | type[Transformer]
) -> None:
    small, large = (
        waits_of_a_step(monkeypatch, network(width=16, depth=depth, dropout=0.1), batch)
        for depth, batch in ((1, 16), (3, 32))
    )
    assert small == large
    assert small == Counter({"aten.nonzero": 1}) + Counter({"tolist": 1} if network is MAE else {})


def test_what_waits_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = torch.arange(4.0)
    with counted(monkeypatch) as found:
        numbers[numbers > 1].sum().item()
        numbers.tolist()
    assert found == {"aten.index": 1, "item": 1, "aten._local_scalar_dense": 1, "tolist": 1}
