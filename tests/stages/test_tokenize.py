import torch

from mgbench.components.tokenizers.patches import KMeans, Patch
from mgbench.stages.tokenize import BATCH, decode, encode

IMAGES = torch.randint(256, (BATCH + 3, 1, 4, 4), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
CPU = torch.device("cpu")


def test_all_images_are_encoded_in_order_over_several_batches() -> None:
    module = Patch().build((1, 4, 4))
    tokens = encode(module, IMAGES, CPU)
    assert tokens.shape == (BATCH + 3, 4, 4)
    assert torch.equal(tokens, module.encode(IMAGES))
    assert torch.equal(decode(module, tokens), IMAGES)


def test_codes_stay_whole_numbers() -> None:
    module = KMeans(codes=8).build((1, 4, 4))
    list(module.fit(IMAGES, 0))
    tokens = encode(module, IMAGES, CPU)
    assert tokens.dtype == torch.int64
    assert decode(module, tokens).dtype == torch.uint8


def test_nothing_keeps_a_gradient() -> None:
    class Learned(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = torch.nn.Parameter(torch.ones(()))

        def encode(self, images: torch.Tensor) -> torch.Tensor:
            return self.scale * images.float()

        def decode(self, tokens: torch.Tensor) -> torch.Tensor:
            return self.scale * tokens

    module = Learned()
    tokens = encode(module, IMAGES, CPU)
    assert not tokens.requires_grad
    assert not decode(module, tokens).requires_grad
