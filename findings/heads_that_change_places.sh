#!/usr/bin/env bash
# attention_head_dim is the width of a head in one U-Net, and the number of heads in the other.
#
# Guess:  UNet2DModel and UNet2DConditionModel with attention_head_dim=8 have heads of 8 channels both.
# Seen:   With 32 channels the first has 4 heads of 8, the second 8 heads of 4, and num_attention_heads, which would say it, is
#         refused by the second. Weights have the same shapes either way, so that a checkpoint of one meaning loads
#         without a word under the other and gives other images.
# Here:   mgbench's networks are asked for heads, and the width must be a multiple of them.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet diffusers==0.42.1 torch==2.14.1 numpy==2.4.6
OMP_NUM_THREADS=1 HF_HUB_OFFLINE=1 "$folder/venv/bin/python" -W ignore - <<'PY'
import diffusers
import torch
from diffusers.models.attention_processor import Attention

SIZES = {"sample_size": 8, "block_out_channels": (32, 32), "attention_head_dim": 8}
KINDS = {
    diffusers.UNet2DModel: {"down_block_types": ("AttnDownBlock2D", "DownBlock2D"), "up_block_types": ("UpBlock2D", "AttnUpBlock2D")},
    diffusers.UNet2DConditionModel: {
        "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
        "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
        "cross_attention_dim": 16,
    },
}


def heads(model):
    return {(layer.heads, layer.to_q.out_features // layer.heads) for layer in model.modules() if isinstance(layer, Attention)}


found = {kind.__name__: heads(kind(**SIZES, **given)) for kind, given in KINDS.items()}
print(f"diffusers {diffusers.__version__}: attention_head_dim=8 of 32 channels is (heads, width of a head) {found}")
assert found == {"UNet2DModel": {(4, 8)}, "UNet2DConditionModel": {(8, 4)}}
try:
    diffusers.UNet2DConditionModel(**SIZES, **KINDS[diffusers.UNet2DConditionModel], num_attention_heads=4)
except ValueError as error:
    print("num_attention_heads:", str(error)[:100])
else:
    raise AssertionError("num_attention_heads is taken")

torch.manual_seed(0)
kind, given = diffusers.UNet2DConditionModel, KINDS[diffusers.UNet2DConditionModel]
one, other = kind(**SIZES, **given).eval(), kind(**{**SIZES, "attention_head_dim": 4}, **given).eval()
other.load_state_dict(one.state_dict())
x, text = torch.randn(1, 4, 8, 8), torch.randn(1, 3, 16)
with torch.no_grad():
    off = (one(x, 5, text).sample - other(x, 5, text).sample).abs().max().item()
print(f"the same weights with 8 and with 4 heads: outputs differ by up to {off:.3f}")
assert off > 1e-4
PY
