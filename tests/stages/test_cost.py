import pytest
import torch
from torch import Tensor, nn

from mgbench.components.heads.diffusion import Diffusion
from mgbench.components.networks.transformers import MAE, Transformer
from mgbench.interfaces.data import TokenSpace
from mgbench.stages import cost
from mgbench.stages.cost import Meter, sampling_costs, training_costs
from mgbench.stages.flops import FlopCounter

SPACE = TokenSpace(16, 4)
WIDTH, DEPTH, HEADS, SLOTS, BATCH = 32, 2, 4, 3, 5
CPU = torch.device("cpu")


def visible(count: int) -> tuple[Tensor, Tensor, Tensor]:
    """Tokens of which the first `count` are visible, and labels."""
    mask = (torch.arange(16) >= count).expand(BATCH, -1)
    return torch.randn(BATCH, 16, 4), mask, torch.arange(BATCH) % 3


def of_block(length: int) -> int:
    """Operations of one block on a sequence: its four matrices (12 W² numbers), and two products of attention."""
    return 2 * BATCH * (length * 12 * WIDTH**2 + 2 * length**2 * WIDTH)


def counted(module: nn.Module, *inputs: Tensor) -> int:
    with torch.no_grad(), FlopCounter() as counter:
        module(*inputs)
    return int(counter.get_total_flops())


@pytest.mark.parametrize("seen", [1, 4, 16])
def test_an_encoder_of_visible_tokens_costs_what_its_sequences_say(seen: int) -> None:
    module = MAE(width=WIDTH, depth=DEPTH, heads=HEADS, class_tokens=SLOTS).build(SPACE, 3).eval()
    short, full = SLOTS + seen, SLOTS + 16
    entry, bridge = 2 * BATCH * 16 * 4 * WIDTH, 2 * BATCH * short * WIDTH**2
    assert counted(module, *visible(seen)) == entry + bridge + DEPTH * (of_block(short) + of_block(full))


def test_a_single_stream_costs_the_same_whatever_is_visible() -> None:
    module = Transformer(width=WIDTH, depth=DEPTH, heads=HEADS).build(SPACE, 3).eval()
    expected = 2 * BATCH * 16 * 4 * WIDTH + DEPTH * of_block(17)
    assert counted(module, *visible(3)) == counted(module, *visible(15)) == expected


def test_the_head_is_counted_by_its_matrices() -> None:
    head = Diffusion(width=24, depth=3).build(SPACE, WIDTH)
    weights = sum(layer.weight.numel() for layer in head.modules() if isinstance(layer, nn.Linear))
    of_time = sum(layer.weight.numel() for layer in head.time if isinstance(layer, nn.Linear))
    x, z = torch.randn(7, 4), torch.randn(7, WIDTH)
    # One time for all rows is embedded once.
    assert counted(head, x, torch.tensor([3.0]), z) == 2 * 7 * (weights - of_time) + 2 * of_time


def test_a_step_of_training_is_about_three_passes() -> None:
    module = Transformer(width=WIDTH, depth=DEPTH, heads=HEADS).build(SPACE, 3)
    forward = counted(module, *visible(3))
    with FlopCounter() as counter:
        module(*visible(3)).sum().backward()
    assert 2.9 * forward < counter.get_total_flops() < 3.3 * forward


@pytest.mark.parametrize("seen", [1, 7])
def test_tokens_count_once_a_block(seen: int) -> None:
    module, meter = nn.Module(), Meter()
    module.network = MAE(width=WIDTH, depth=DEPTH, heads=HEADS, class_tokens=SLOTS).build(SPACE, 3).eval()
    with torch.no_grad(), meter.watch(module):
        module.network(*visible(seen))
    assert meter.tokens == BATCH * ((SLOTS + seen) + (SLOTS + 16)) / 2
    assert meter.rows == {"network": BATCH}


def test_the_meter_counts_rows_by_child_while_it_watches() -> None:
    model = nn.Sequential()
    model.add_module("first", nn.Linear(2, 2))
    model.add_module("second", nn.Linear(2, 2))
    meter = Meter()
    with meter.watch(model):
        model(torch.zeros(5, 2))
        model.get_submodule("first")(torch.zeros(3, 2))
    model(torch.zeros(7, 2))
    assert meter.rows == {"first": 8, "second": 5}


def test_the_meter_stops_watching_after_an_error() -> None:
    model, meter = nn.Sequential(nn.Linear(2, 2)), Meter()
    with pytest.raises(RuntimeError, match="stop"), meter.watch(model):
        raise RuntimeError("stop")
    model(torch.zeros(7, 2))
    assert not meter.rows


def test_costs_are_of_one_image_and_the_time_is_the_median() -> None:
    meter = Meter()
    meter.rows.update(network=40, head=320)
    meter.tokens, meter.flops, meter.steps = 600.0, 5e6, 70
    costs = sampling_costs(meter, 16, 10, [(4, 4.0), (4, 8.0), (2, 30.0)])
    assert costs["steps_taken"] == 7
    assert costs["nfe"] == 4
    assert costs["head_evaluations"] == 2
    assert costs["token_forwards"] == 60
    assert costs["flops_per_image"] == 5e6
    assert costs["seconds_per_image"] == 2
    assert costs["sampling_batch"] == 4


def test_meters_of_further_images_add_up() -> None:
    one, other = Meter(), Meter()
    for meter, images in ((one, 3), (other, 5)):
        meter.rows.update(network=images, head=2 * images)
        meter.tokens, meter.steps, meter.flops = 4.0 * images, images, 7.0
    one.add(other)
    assert one.rows == {"network": 8, "head": 16}
    assert (one.tokens, one.steps) == (32.0, 8)
    assert one.flops == 7.0, "which is of one image already"


def test_utilisation_is_known_where_the_peak_is(monkeypatch: pytest.MonkeyPatch) -> None:
    assert training_costs(3e12, 2.0, 100, CPU) == {
        "train_seconds": 2.0,
        "train_images_per_second": 50.0,
        "train_flops": 3e12,
    }
    for gpu, share in (("NVIDIA H100 80GB HBM3", 3e12 / 2 / 989.4e12), ("NVIDIA L40S", 3e12 / 2 / 362e12)):
        monkeypatch.setattr(cost.torch.cuda, "get_device_name", lambda device, gpu=gpu: gpu)
        costs = training_costs(3e12, 2.0, 100, torch.device("cuda"))
        two = training_costs(3e12, 2.0, 100, torch.device("cuda"), devices=2)
        assert costs["train_utilisation"] == pytest.approx(share)
        assert two["train_utilisation"] == pytest.approx(share / 2), "the peak of two is twice as high"
    monkeypatch.setattr(cost.torch.cuda, "get_device_name", lambda device: "Another GPU")
    assert "train_utilisation" not in training_costs(3e12, 2.0, 100, torch.device("cuda"))


def test_the_peak_of_memory_is_no_less_than_what_is_held() -> None:
    held = torch.ones(50_000_000)
    assert cost.peak_memory(CPU) > held.numel() * held.element_size()
