"""ImageNet (ILSVRC 2012), from the folders of its unpacked archives."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

from mgbench.components.datasets.files import ImageFolder
from mgbench.errors import UserError
from mgbench.hookspecs import hookimpl
from mgbench.interfaces.components import Dataset
from mgbench.interfaces.data import ImageData
from mgbench.recipes.spec import Count

CLASSES = 1000
_HALVES = ("train", "val")
_LICENCE = "ImageNet (ILSVRC 2012): for non-commercial research and education, by its terms of access"


@dataclass(frozen=True)
class ImageNet:
    """ILSVRC 2012: 1,281,167 training and 50,000 held-out photographs of 1,000 classes, cropped to squares as in ADM.

    Source: Russakovsky et al. (2015), arXiv:1409.0575; the crop, as for published FIDs: Dhariwal and Nichol (2021),
    arXiv:2105.05233, code. `path` holds `train/n01440764/*.JPEG` and `val/n01440764/*.JPEG`, as
    torchvision unpacks the archives; with the archives themselves in it, `mgbench prepare` unpacks them.
    """

    path: str
    size: Count = 256

    extractor: ClassVar[str] = "inception"

    def load(self) -> ImageData:
        """Images uint8 [M,3,size,size], read on access; labels int64 0..999 in the order of the WordNet numbers.

        Raises:
            UserError: if a folder is missing or does not have the 1,000 classes.
        """
        missing = [half for half in _HALVES if not (self._root / half).is_dir()]
        if missing:
            raise UserError(
                f"imagenet: there is no folder {missing[0]} in {self.path!r}; give the one that has train and val, or has the "
                "three archives ILSVRC2012_*, which 'mgbench prepare' unpacks"
            )
        data = ImageFolder(self.path, self.size, "adm").load()
        if len(data.class_names) != CLASSES:
            raise UserError(
                f"imagenet: {self.path} holds {len(data.class_names)} classes, and ImageNet has {CLASSES}; "
                "for a part of it take image_folder(path=…, size=…, resize=adm)"
            )
        return replace(data, licence=_LICENCE)

    def fetch(self) -> None:
        """Unpack the archives in `path` with torchvision; downloading them requires an account.

        Raises:
            UserError: if they are missing or damaged, or unpacking them was interrupted before.
        """
        from torchvision import datasets

        root = self._root
        try:
            for half in _HALVES:
                if not (root / half).is_dir():
                    datasets.ImageNet(root, half)
                elif any(path.is_file() for path in (root / half).iterdir()):
                    raise UserError(
                        f"imagenet: unpacking {root / half} was interrupted; remove that folder and prepare it again"
                    )
        except (OSError, RuntimeError) as error:
            raise UserError(f"imagenet: the archives in {root} cannot be unpacked: {error}") from None

    @property
    def _root(self) -> Path:
        return Path(self.path).expanduser()


@hookimpl
def mgbench_datasets() -> Mapping[str, type[Dataset]]:
    return {"imagenet": ImageNet}
