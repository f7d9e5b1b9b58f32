"""Counter-based random streams for every image, step and token, so that a sample does not depend on its batch.

A stream is a 64-bit key. `fold` derives new streams from a key and a number (the index of an image, a step, a
position); drawing hashes the key with a counter. Streams have no state: the same stream always gives the same numbers,
on every device, for any batch size, in any order. The hash is the SplitMix64 finaliser (Steele, Lea and Flood, OOPSLA
2014).
"""

import hashlib
from dataclasses import dataclass

import torch
from torch import Tensor

# What picks streams out of others, as it picks elements out of a tensor of keys.
Index = int | slice | Tensor | None
_GOLDEN = -7046029254386353131  # 2^64 / golden ratio, odd, as a signed 64-bit number
_MIX_1 = -4658895280553007687  # 0xBF58476D1CE4E5B9
_MIX_2 = -7723592293110705685  # 0x94D049BB133111EB


def _shift(x: Tensor, bits: int) -> Tensor:
    return (x >> bits).bitwise_and_((1 << (64 - bits)) - 1)


def _mix(x: Tensor) -> Tensor:
    # In place after the first step, because these are the largest tensors in sampling.
    mixed = x ^ _shift(x, 30)
    mixed *= _MIX_1
    mixed ^= _shift(mixed, 27)
    mixed *= _MIX_2
    mixed ^= _shift(mixed, 31)
    return mixed


def derive(seed: int, purpose: str) -> int:
    """A 63-bit seed for one purpose; different purposes use independent random numbers."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{purpose}".encode()).digest()[:8]) >> 1


@dataclass(frozen=True)
class Streams:
    """Random streams of any shape: `keys` int64 [...]."""

    keys: Tensor

    @classmethod
    def root(cls, seed: int, purpose: str, device: torch.device | str = "cpu") -> "Streams":
        """The root stream of a seed and a purpose: keys int64 []."""
        return cls(torch.tensor(derive(seed, purpose), dtype=torch.int64, device=device))

    def fold(self, number: int | Tensor) -> "Streams":
        """Streams derived from these by a number, int or int64 of any shape; shapes broadcast."""
        if isinstance(number, Tensor):
            at: int | Tensor = number.to(self.keys.device, torch.int64) * _GOLDEN + 1
        else:
            # Not as a tensor, for which a GPU would be waited for; products wrap around as those of 64 bits do.
            at = (number * _GOLDEN + 1 + 2**63) % 2**64 - 2**63
        return Streams(_mix(_mix(self.keys) + at))

    def __getitem__(self, rows: Index | tuple[Index, ...]) -> "Streams":
        return Streams(self.keys[rows])

    def uniform(self, count: int) -> Tensor:
        """`count` uniform numbers in (0, 1) from each of M streams (any shape), float64 [M,count]."""
        numbers = torch.arange(1, count + 1, device=self.keys.device)
        bits = _mix(_mix(self.keys)[..., None] + numbers * _GOLDEN)
        return _shift(bits, 11).double().add_(0.5).mul_(2.0**-53)

    def normal(self, count: int) -> Tensor:
        """`count` standard normal numbers from each of M streams (any shape), float64 [M,count]."""
        normal: Tensor = torch.special.ndtri(self.uniform(count))
        return normal

    def gumbel(self, count: int) -> Tensor:
        """`count` standard Gumbel numbers from each of M streams (any shape), float64 [M,count].

        In float64, because lower precision truncates the tail, which acts as a lower temperature (Zheng et al.,
        arXiv:2409.02908).
        """
        return self.uniform(count).log_().neg_().log_().neg_()
