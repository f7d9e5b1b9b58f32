#!/usr/bin/env bash
# diffusers reads an autoencoder of the LDM form without the attention at its lower resolutions.
#
# Guess:  AutoencoderKL.from_single_file with the original configuration builds the network that the configuration
#         describes, or refuses. LDM's KL-16, for example, has attn_resolutions: [16].
# Seen:   attn_resolutions is not read. The network is built without attention outside the middle, the tensors of the
#         attention (here 30) are left over in one logged line, and pictures are decoded otherwise, without an error.
#         Nor does a configuration of diffusers with attention blocks help: those tensors are not renamed (with
#         low_cpu_mem_usage=False they keep random values, without it a NotImplementedError names meta tensors).
# Here:   mgbench finds by the names of the tensors which levels attend, and refuses left-over and missing ones by name.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.14.1 numpy==2.4.6 diffusers==0.42.1 safetensors==0.8.0 accelerate==1.15.0 pyyaml
HF_HUB_OFFLINE=1 OMP_NUM_THREADS=1 "$folder/venv/bin/python" - "$folder" <<'PY'
import re
import sys
from pathlib import Path

import diffusers
import torch
import yaml
from diffusers import AutoencoderKL
from safetensors.torch import save_file

folder = Path(sys.argv[1])
torch.manual_seed(0)
true = AutoencoderKL(
    down_block_types=("DownEncoderBlock2D", "AttnDownEncoderBlock2D"), up_block_types=("AttnUpDecoderBlock2D", "UpDecoderBlock2D"),
    block_out_channels=(32, 64), layers_per_block=1, latent_channels=4,
).eval()  # fmt: skip

LDM = (
    (r"mid_block\.resnets\.0", "mid.block_1"), (r"mid_block\.resnets\.1", "mid.block_2"), (r"mid_block\.attentions\.0", "mid.attn_1"),
    (r"down_blocks\.(\d)\.resnets", r"down.\1.block"), (r"down_blocks\.(\d)\.attentions", r"down.\1.attn"),
    (r"down_blocks\.(\d)\.downsamplers\.0", r"down.\1.downsample"),
    (r"up_blocks\.(\d)\.resnets", lambda found: f"up.{1 - int(found[1])}.block"),
    (r"up_blocks\.(\d)\.attentions", lambda found: f"up.{1 - int(found[1])}.attn"),
    (r"up_blocks\.(\d)\.upsamplers\.0", lambda found: f"up.{1 - int(found[1])}.upsample"),
    ("group_norm", "norm"), (r"to_([qkv])\.", r"\1."), (r"to_out\.0", "proj_out"), ("conv_norm_out", "norm_out"), ("conv_shortcut", "nin_shortcut"),
)  # fmt: skip


def ldm_name(name):
    for pattern, replacement in LDM:
        name = re.sub(pattern, replacement, name)
    return name


def ldm_form(name, value):
    return value[..., None, None] if re.search(r"\.(q|k|v|proj_out)\.weight", name) else value  # 1x1 convolutions


weights = {ldm_name(name): value for name, value in true.state_dict().items()}
save_file({name: ldm_form(name, value).contiguous() for name, value in weights.items()}, folder / "ldm.safetensors")
shape = {
    "double_z": True, "z_channels": 4, "resolution": 32, "in_channels": 3, "out_ch": 3, "ch": 32, "ch_mult": [1, 2],
    "num_res_blocks": 1, "attn_resolutions": [16], "dropout": 0.0,
}  # fmt: skip
original = {"model": {"params": {"first_stage_config": {"params": {"embed_dim": 4, "ddconfig": shape}}}}}
(folder / "ldm.yaml").write_text(yaml.safe_dump(original))

read = AutoencoderKL.from_single_file(str(folder / "ldm.safetensors"), original_config=str(folder / "ldm.yaml")).eval()
left_over = sorted(set(true.state_dict()) - set(read.state_dict()))
latents = torch.randn(1, 4, 16, 16)
with torch.no_grad():
    apart = (read.decode(latents).sample - true.decode(latents).sample).abs().max().item()
print(f"diffusers {diffusers.__version__}: {len(left_over)} tensors of attention are left over; decoded images differ by up to {apart:.3f}")
assert len(left_over) == 30
assert all(".attentions." in name for name in left_over)
assert all(torch.equal(value, true.state_dict()[name]) for name, value in read.state_dict().items())
assert apart > 0.01
PY
