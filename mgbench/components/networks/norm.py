"""Layer norms in which those without parameters are as fast on a CPU as those with."""

from torch import Tensor, nn
from torch.nn import functional


class LayerNorm(nn.LayerNorm):
    """PyTorch's layer norm (arXiv:1607.06450), to the last bit, of x float [...,W].

    Without weights its kernel for CPUs leaves vector instructions unused and takes twice the time, so it is given ones.
    """

    def forward(self, x: Tensor) -> Tensor:
        given = self.elementwise_affine or x.device.type != "cpu"
        weight = self.weight if given else x.new_ones(self.normalized_shape)
        return functional.layer_norm(x, self.normalized_shape, weight, self.bias, self.eps)
