"""Declarations of well-known scores, for records written before metrics declared their own."""

from collections.abc import Iterable

_LOWER = {
    "fid": "FID", "fid_infinity": "FID∞", "sfid": "sFID", "kid": "KID", "cmmd": "CMMD",
    "torch_fidelity_fid": "FID by torch-fidelity", "torch_fidelity_kid": "KID by torch-fidelity",
    "clean_fid": "FID by clean-fid", "clean_kid": "KID by clean-fid",
    "clean_fid_legacy_pytorch": "FID by clean-fid, resized by PyTorch",
    "clean_kid_legacy_pytorch": "KID by clean-fid, resized by PyTorch",
    "clean_fid_legacy_tensorflow": "FID by clean-fid, resized by the extractor",
    "clean_kid_legacy_tensorflow": "KID by clean-fid, resized by the extractor",
}  # fmt: skip
_HIGHER = {
    "accuracy": "Accuracy", "precision": "Precision", "recall": "Recall", "density": "Density", "coverage": "Coverage",
    "inception_score": "Inception score", "torch_fidelity_inception_score": "Inception score by torch-fidelity",
    "torch_fidelity_precision": "Precision by torch-fidelity", "torch_fidelity_recall": "Recall by torch-fidelity",
}  # fmt: skip
KNOWN: dict[str, dict[str, str]] = {
    **{name: {"label": label, "better": "lower"} for name, label in _LOWER.items()},
    **{name: {"label": label, "better": "higher"} for name, label in _HIGHER.items()},
    "bits_per_dim": {"label": "Bits per dimension", "better": "lower", "of": "tokens"},
    "rmse": {"label": "RMSE", "better": "lower", "unit": "grey levels", "of": "images"},
}


def known_scores(names: Iterable[str]) -> dict[str, dict[str, str]]:
    """The declarations of the scores whose names, without the extractor in brackets, are known."""
    found = {name: KNOWN.get(name.partition("[")[0]) for name in names}
    return {name: info for name, info in found.items() if info is not None}
