import pytest
import torch

from mgbench.stages.batches import batch_rows


@pytest.mark.parametrize(("batch", "count"), [(16, 100), (7, 100), (100, 100), (64, 10), (1, 3)])
def test_every_epoch_sees_every_row_once(batch: int, count: int) -> None:
    steps = -(-3 * count // batch)
    rows = torch.cat([batch_rows(0, step, batch, count) for step in range(steps)])
    assert len(rows) == steps * batch
    epochs = rows[: 3 * count].reshape(3, count)
    assert (epochs.sort(1).values == torch.arange(count)).all()
    if count > 3:
        assert not torch.equal(epochs[0], epochs[1])


def test_the_order_is_that_of_the_seed() -> None:
    assert torch.equal(batch_rows(1, 3, 16, 100), batch_rows(1, 3, 16, 100))
    assert not torch.equal(batch_rows(1, 3, 16, 100), batch_rows(2, 3, 16, 100))
