"""Where things lie under a results folder."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Layout:
    """Where things lie under a results folder."""

    root: Path

    def run(self, key: str) -> Path:
        """The folder of one recipe: `record.json` and, when done, `images.npz` (images uint8 [n,C,H,W], labels int64 [n])."""
        return self.root / "runs" / key

    def model(self, training_key: str) -> Path:
        """The folder of one trained model: `model.safetensors`, `training.csv`, a row for every report."""
        return self.root / "models" / training_key

    def images(self, images_key: str) -> Path:
        """The folder of drawn images: `images.npz` as in a run's, `costs.json`, and files that show how they came about."""
        return self.root / "images" / images_key

    def tokenizer(self, tokenizer_key: str) -> Path:
        """The folder of one fitted tokenizer: `tokenizer.safetensors`, `fitting.csv` (step, loss, seconds)."""
        return self.root / "tokenizers" / tokenizer_key

    def real(self, fingerprint: str) -> Path:
        """Real images of a dataset to show beside samples: arrays `images` and `labels`, as in a run's `images.npz`."""
        return self.root / "real" / f"{fingerprint}.npz"

    def reference(self, key: str) -> Path:
        """The folder of real images as one extractor sees them: `features.safetensors`, and `reference.json`, what they are."""
        return self.root / "references" / key

    def study(self, name: str) -> Path:
        """The rows that make up a study."""
        return self.root / "studies" / f"{name}.json"

    @property
    def runs_at_work(self) -> Path:
        """The folder in which every `mgbench run` tells how far it is."""
        return self.root / "status"

    def claim(self, key: str) -> Path:
        """Who computes the trial of this key, while somebody does."""
        return self.root / "claims" / f"{key}.json"

    def tracker(self, plugin: str, key: str) -> Path:
        """What the tracker of a plugin keeps of the trial of one trained model, or of one tokenizer."""
        return self.root / "trackers" / plugin / key

    def log(self, key: str) -> Path:
        """What the trial of one trained model, or of one tokenizer, printed."""
        return self.root / "logs" / f"{key}.log"
