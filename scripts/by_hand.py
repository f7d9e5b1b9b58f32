"""What torch-fidelity and clean-fid say of two folders through one extractor, run by hand (see metrics.md)."""

import sys
from pathlib import Path

import numpy as np
import torch
import torch_fidelity
from cleanfid import fid
from PIL import Image
from scipy.linalg import sqrtm
from torch_fidelity.feature_extractor_base import FeatureExtractorBase

from mgbench.components.extractors.pretrained import Torchvision

folders, network = sys.argv[1:3], Torchvision("mobilenet_v2", sys.argv[3], size=64).build()


def shown(image):
    return image.expand(-1, 3, -1, -1) if image.shape[1] == 1 else image


class ByHand(FeatureExtractorBase):
    def __init__(self, name, features_list, **_):
        super().__init__(name, features_list)

    @staticmethod
    def get_provided_features_list():
        return ("1280",)

    @staticmethod
    def get_default_feature_layer_for_metric(metric):
        return "1280"

    def forward(self, images):
        return (network(images).features,)


class Folder(torch.utils.data.Dataset):
    def __init__(self, path):
        self.files = sorted(Path(path).glob("*.png"))

    def __len__(self):
        return len(self.files)

    def __getitem__(self, index):
        return torch.from_numpy(np.array(Image.open(self.files[index]).convert("RGB"))).permute(2, 0, 1)


torch_fidelity.register_feature_extractor("by-hand", ByHand)
theirs = torch_fidelity.calculate_metrics(
    input1=Folder(folders[0]),
    input2=Folder(folders[1]),
    feature_extractor="by-hand",
    fid=True,
    prc=True,
    cuda=False,
    cache=False,
    save_cpu_ram=True,
    verbose=False,
)
for name in ("frechet_inception_distance", "precision", "recall"):
    print(f"torch-fidelity {name}: {theirs[name]:.6f}")

# clean-fid 0.1.35 passes an argument that SciPy 1.18 no longer has.
fid.linalg = type("linalg", (), {"sqrtm": staticmethod(lambda matrix, disp: (sqrtm(matrix), 0.0))})
distance = fid.compute_fid(
    *folders,
    mode="legacy_tensorflow",
    num_workers=0,
    device=torch.device("cpu"),
    use_dataparallel=False,
    verbose=False,
    custom_feat_extractor=lambda images: network(images).features,
)
print(f"clean-fid fid: {distance:.6f}")
