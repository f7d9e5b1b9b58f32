import pytest

from mgbench.stages.evaluate import small_sample_warning


@pytest.mark.parametrize(
    ("count", "says"),
    [(500, None), (480, None), (479, "biased upward"), (49, "biased upward"), (48, "singular"), (2, "singular")],
)
def test_few_images_are_warned_about(count: int, says: str | None) -> None:
    warning = small_sample_warning(count, 48)
    assert warning is None if says is None else says in str(warning)
