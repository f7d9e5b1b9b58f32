"""Data sets that are read from official files, which torchvision downloads."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from mgbench.errors import UserError
from mgbench.interfaces.data import ImageData


@dataclass(frozen=True)
class TorchvisionFiles(ABC):
    """Official files below `path`; `official_name` is the class of `torchvision.datasets` that downloads them."""

    path: str

    official_name: ClassVar[str]

    @abstractmethod
    def load(self) -> ImageData:
        """The images of the files, uint8 [N,C,H,W].

        Raises:
            UserError: if a file is missing or damaged.
        """

    def fetch(self) -> None:
        """Download the files into `path`, unless they exist.

        Raises:
            UserError: if the download fails.
        """
        try:
            self.load()
        except UserError:
            try:
                self.official(self.root, download=True)
            except (OSError, RuntimeError) as error:
                raise UserError(f"the files of {self.official_name} could not be fetched: {error}") from None

    @property
    def root(self) -> Path:
        """The folder `path`, with the home folder of the user in the place of `~`."""
        return Path(self.path).expanduser()

    @property
    def official(self) -> Any:
        """The class of `torchvision.datasets`, with class names and URLs."""
        from torchvision import datasets

        return getattr(datasets, self.official_name)
