"""What is a number called, in which unit, which way is better, and of what does it tell?

Records hold names and numbers only, so this is the one place where the report knows names: a table of words, never a
branch. A name that is not in it is shown as it is, and its better direction is the one that leads to real images.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Words:
    """How a score or a cost is called on an axis and in a table.

    One that is `of_tokens` measures a model by the tokens of real images, whatever is sampled from it; it compares models of
    one tokenizer, which its name says as that of others says the extractor: "bits_per_dim[vq(codes=64)]".
    """

    axis: str
    short: str
    higher_is_better: bool | None = None
    of_tokens: bool = False


SCORES = {
    "fid": Words("FID", "FID", False),
    "fid_infinity": Words("FID∞", "FID∞", False),
    "sfid": Words("sFID", "sFID", False),
    "kid": Words("KID", "KID", False),
    "cmmd": Words("CMMD", "CMMD", False),
    "mind": Words("MIND", "MIND", False),
    "mind_infinity": Words("MIND∞", "MIND∞", False),
    "vendi": Words("Vendi score", "Vendi", True),
    "copied": Words("Copied (share)", "Copied", False),
    "authpct": Words("Authentic (%)", "AuthPct", True),
    "gap": Words("Generalisation gap of FID", "gap", False),
    "accuracy": Words("Accuracy", "Accuracy", True),
    "precision": Words("Precision", "Precision", True),
    "recall": Words("Recall", "Recall", True),
    "density": Words("Density", "Density", True),
    "coverage": Words("Coverage", "Coverage", True),
    "inception_score": Words("Inception score", "IS", True),
    "bits_per_dim": Words("Bits per dimension", "bits/dim", False, of_tokens=True),
    "rmse": Words("RMSE (grey levels)", "RMSE", False),
    "torch_fidelity_inception_score": Words("Inception score by torch-fidelity", "IS (t-f)", True),
    "torch_fidelity_fid": Words("FID by torch-fidelity", "FID (t-f)", False),
    "torch_fidelity_kid": Words("KID by torch-fidelity", "KID (t-f)", False),
    "torch_fidelity_precision": Words("Precision by torch-fidelity", "Precision (t-f)", True),
    "torch_fidelity_recall": Words("Recall by torch-fidelity", "Recall (t-f)", True),
    "clean_fid": Words("FID by clean-fid", "clean FID", False),
    "clean_kid": Words("KID by clean-fid", "clean KID", False),
    "clean_fid_legacy_pytorch": Words("FID by clean-fid, resized by PyTorch", "FID (pytorch)", False),
    "clean_kid_legacy_pytorch": Words("KID by clean-fid, resized by PyTorch", "KID (pytorch)", False),
    "clean_fid_legacy_tensorflow": Words("FID by clean-fid, resized by the extractor", "FID (tensorflow)", False),
    "clean_kid_legacy_tensorflow": Words("KID by clean-fid, resized by the extractor", "KID (tensorflow)", False),
}
COSTS = {
    "steps_taken": Words("Steps taken", "steps taken"),
    "nfe": Words("NFE (network forwards per image)", "NFE"),
    "seconds_per_image": Words("Time (seconds per image)", "s/image"),
    "head_evaluations": Words("Head evaluations (per token)", "head/token"),
    "train_seconds": Words("Training time (seconds)", "train s"),
    "train_images_per_second": Words("Training speed (images per second)", "train img/s"),
    "token_forwards": Words("Token-forwards (tokens through a block per image)", "tokens"),
    "flops_per_image": Words("Arithmetic (FLOPs per image)", "FLOPs/image"),
    "peak_memory_bytes": Words("Peak memory (bytes)", "memory"),
    "sampling_batch": Words("Images drawn at once", "batch"),
    "train_flops": Words("Training arithmetic (FLOPs)", "train FLOPs"),
    "train_utilisation": Words("Model FLOPs utilisation", "MFU"),
    "parameters": Words("Parameters", "parameters"),
    "bits_per_dim_error": Words("Standard error of the bits per dimension", "± bits/dim"),
    "tokens": Words("Tokens per image", "tokens"),
    "codes_used": Words("Share of the codes that held-out images use", "codes used"),
    "fit_seconds": Words("Fitting time of the tokenizer (seconds)", "fit s"),
}


def family(metric: str) -> str:
    """The metric without its extractor or tokenizer: "fid" of "fid[digits_cnn]"."""
    return metric.partition("[")[0]


def of_tokens(metric: str) -> bool:
    """Whether a score measures a model by the tokens of real images, and not by what is sampled from it."""
    return family(metric) in SCORES and SCORES[family(metric)].of_tokens
