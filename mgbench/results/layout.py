"""The layout of a results folder."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Layout:
    """The layout of a results folder."""

    root: Path

    def run(self, key: str) -> Path:
        """The folder of one row: `record.json` and, when done, `images.npz` (images uint8 [n,C,H,W], labels int64 [n])."""
        return self.root / "runs" / key

    def model(self, training_key: str) -> Path:
        """The folder of one trained model: `model.safetensors` and `training.csv` (the loss curve)."""
        return self.root / "models" / training_key

    def imported(self, name: str) -> Path:
        """The folder of imported weights: `model.safetensors`, `recipe.toml`, and the files of
        `mgbench.results.imported`.
        """
        return self.root / "imported" / name

    def images(self, images_key: str) -> Path:
        """The folder of samples: `images.npz` as in `run`, `costs.json`, and diagnostic files."""
        return self.root / "images" / images_key

    def tokenizer(self, tokenizer_key: str) -> Path:
        """The folder of one fitted tokenizer: `tokenizer.safetensors`, `fitting.csv` (step, loss, seconds)."""
        return self.root / "tokenizers" / tokenizer_key

    def tokens(self, key: str) -> Path:
        """The folder of the tokens of training images: shards `tokens-00000.npy`, …, and `tokens.json`, which identifies them."""
        return self.root / "tokens" / key

    def real(self, fingerprint: str) -> Path:
        """Real images of a dataset for reports: arrays `images` and `labels`, as in `images.npz` of `run`."""
        return self.root / "real" / f"{fingerprint}.npz"

    def reference(self, key: str) -> Path:
        """The folder of features of real images: `features.safetensors`, and `reference.json`, which identifies them."""
        return self.root / "references" / key

    def study(self, name: str) -> Path:
        """The file that lists the rows of a study."""
        return self.root / "studies" / f"{name}.json"

    def speed(self, key: str) -> Path:
        """The file of one measurement of speed (`mgbench.results.speed`)."""
        return self.root / "speed" / f"{key}.json"

    @property
    def runs_at_work(self) -> Path:
        """The folder of status files, one for each `mgbench run`."""
        return self.root / "status"

    def lock(self, key: str) -> Path:
        """The lease on the trial of this key, while a run computes it."""
        return self.root / "locks" / f"{key}.json"

    def tracker(self, plugin: str, key: str) -> Path:
        """The folder of a tracker plugin for one trial."""
        return self.root / "trackers" / plugin / key

    def log(self, key: str) -> Path:
        """The log of one trial: everything that its processes print."""
        return self.root / "logs" / f"{key}.log"
