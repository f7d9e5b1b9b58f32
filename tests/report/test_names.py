import pytest

from mgbench.report.names import short_names, short_specs

INTERVAL = "emigm, guidance_schedule=interval(low=0.1, high=0.5, inner=constant(scale={}))"


@pytest.mark.parametrize(
    ("names", "short"),
    [
        (["emigm", "maskgit"], ["emigm", "maskgit"]),
        (["emigm, sampler=halton"], ["emigm, halton"]),
        ([INTERVAL.format(2.0), INTERVAL.format(3.0)], ["interval(scale=2.0)", "interval(scale=3.0)"]),
        (
            ["emigm, sampler=a(x=1), batch_size=16", "emigm, sampler=b, batch_size=32"],
            ["a, batch_size=16", "b, batch_size=32"],
        ),
        (["one, sampler=a", "two, sampler=a"], ["one", "two"]),
        (["one, sampler=a", "one, sampler=b", "two"], ["one, a", "one, b", "two"]),
        (["emigm, sampler=a", "emigm, sampler=a †1"], ["a", "a †1"]),
        (
            ["m, mask_schedule=cosine, sampling_schedule=linear", "m, mask_schedule=linear, sampling_schedule=cosine"],
            ["mask_schedule=cosine, sampling_schedule=linear", "mask_schedule=linear, sampling_schedule=cosine"],
        ),
        (["<img src=x>, odd(", "_$x^{2$"], ["<img src=x>, odd(", "_$x^{2$"]),
    ],
)
def test_a_short_name_leaves_out_what_all_share(names, short):
    assert list(short_names(names).values()) == short


def test_short_names_that_could_be_confused_stay_long():
    names = ["one", "one, sampler=one"]
    assert len(set(short_names(names).values())) == 2


def test_options_that_are_the_same_are_left_out_wherever_they_stand():
    specs = ["exp(rate=5.0)", "exp(rate=3.0)", "cosine", "beta(a=1, b=2)"]
    assert list(short_specs(specs).values()) == ["exp(rate=5.0)", "exp(rate=3.0)", "cosine", "beta"]
