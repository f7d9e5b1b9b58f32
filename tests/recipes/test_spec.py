"""A component's spelling: what is read is what is written, and options are checked before anything runs."""

from dataclasses import dataclass, field
from typing import Literal

import pytest

from mgbench.errors import UserError, suggestion
from mgbench.recipes.spec import (
    Count,
    Index,
    NotNegative,
    Positive,
    Share,
    Spec,
    bind,
    checked,
    make,
    option_at,
    parse_list,
    parse_value,
    parse_values,
)


@dataclass(frozen=True)
class Exp:
    rate: Positive = 5.0
    steps: Count = 2


@dataclass(frozen=True)
class Plain:
    pass


@dataclass(frozen=True)
class Window:
    low: float
    high: float

    def __post_init__(self) -> None:
        if self.low >= self.high:
            raise ValueError("low must be below high")


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("cosine", Spec("cosine")),
        ("  cosine  ", Spec("cosine")),
        ("cosine()", Spec("cosine")),
        ("exp(3)", Spec("exp", (3,))),
        ("exp(rate=5.0)", Spec("exp", options=(("rate", 5.0),))),
        ("exp(1, rate=2)", Spec("exp", (1,), (("rate", 2),))),
        ("f(x=-1)", Spec("f", options=(("x", -1),))),
        ("f(x=-2.5e-3)", Spec("f", options=(("x", -2.5e-3),))),
        ("f(x=true, y=False)", Spec("f", options=(("x", True), ("y", False)))),
        ("f(x=None)", Spec("f", options=(("x", None),))),
        ("f(x=[1, 2.5, word])", Spec("f", options=(("x", (1, 2.5, "word")),))),
        ("f(x=[[1], []])", Spec("f", options=(("x", ((1,), ())),))),
        ("f(x='two words')", Spec("f", options=(("x", "two words"),))),
        ('f(path="/data/it\'s, (here)")', Spec("f", options=(("path", "/data/it's, (here)"),))),
        ("f(x=γ)", Spec("f", options=(("x", "γ"),))),
        ("f(g(h(1)), x=k(y=2))", Spec("f", (Spec("g", (Spec("h", (1,)),)),), (("x", Spec("k", options=(("y", 2),))),))),
        ("none", Spec("none")),
        ("_private(x=0x10)", Spec("_private", options=(("x", 16),))),
    ],
)
def test_a_spelling_is_read_and_its_own_spelling_reads_back_the_same(text: str, spec: Spec) -> None:
    assert Spec.parse(text) == spec
    assert Spec.parse(str(spec)) == spec


@pytest.mark.parametrize(
    "value",
    [
        0,
        -7,
        1.0,
        -0.0,
        1e-30,
        1e22,
        True,
        False,
        None,
        "word",
        "two words",
        "it's",
        "",
        "a,b",
        "5",
        "1.5",
        "true",
        "True",
        "None",
        "class",
    ],
)
def test_every_plain_value_survives_its_spelling_with_its_type(value: object) -> None:
    spec = Spec("f", options=(("x", value),))
    read = dict(Spec.parse(str(spec)).options)["x"]
    assert read == value
    assert type(read) is type(value)


def test_a_spec_is_its_own_spelling() -> None:
    spec = Spec("exp", options=(("rate", 5.0),))
    assert Spec.parse(spec) is spec
    assert str(spec) == "exp(rate=5.0)"
    assert str(Spec("cosine")) == "cosine"


@pytest.mark.parametrize(
    "word",
    [
        *(
            "/data/x",
            "./my photos/2024-05.1",
            "~/x",
            "C:\\data",
            "https://host/a?b=c&d",
            "a=b",
            "it-is",
            "1.5.2",
            "1 2",
            "007",
            "1/8",
        ),
        *("1+2", "1j", "...", "lambda", "γ-x", "s3://bucket/a+b#1"),
    ],
)
def test_text_without_brackets_commas_and_quotation_marks_needs_no_quotes(word: str) -> None:
    assert Spec.parse(f"f(path={word}, k=1)") == Spec("f", options=(("path", word), ("k", 1)))
    assert Spec.parse(f"f([{word.replace('=', '-')}, b])") == Spec("f", ((word.replace("=", "-"), "b"),))
    assert Spec.parse(str(Spec("f", (word,)))) == Spec("f", (word,))


def test_a_list_may_do_without_its_brackets() -> None:
    assert parse_list("fid,prdc(k=3)") == parse_list("[fid, prdc(k=3)]") == ("fid", Spec("prdc", options=(("k", 3),)))
    assert parse_list("fid") == ("fid",)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "exp(",
        "exp)",
        "exp(rate=)",
        "exp(rate==3)",
        "exp(**x)",
        "exp(*x)",
        "a.b(3)",
        "f(1)(2)",
        "f(x={1: 2})",
        "f(x=b'1')",
        "a, b",
        "1], [2",
        "f(x=1) # y",
        "__import__('os').system('true')",
        "f\0",
        "f(x=a\x1bb)",
        "f(x=1, 2)",
        "f(x='a' b)",
        "f(x=it's)",
        "a=b",
        "f(x=1,,)",
        "[" * 300,
        "[" * 300 + "]" * 300,
    ],
)
def test_malformed_text_is_refused_in_a_sentence(text: str) -> None:
    with pytest.raises(UserError):
        parse_value(text)


@pytest.mark.parametrize("text", ["3", "0.5", "[a, b]", "True", "None"])
def test_a_plain_value_is_no_spec(text: str) -> None:
    with pytest.raises(UserError, match="is not a spec"):
        Spec.parse(text)


def test_commas_separate_values_but_not_inside_parentheses() -> None:
    assert parse_values("1, 2.5,cosine, f(1, 2), [3, 4]") == (1, 2.5, "cosine", Spec("f", (1, 2)), (3, 4))
    assert parse_values("8") == (8,)


@pytest.mark.parametrize("text", ["1], [2", "a,,b", "1, (2"])
def test_values_that_cannot_be_read_are_refused(text: str) -> None:
    with pytest.raises(UserError, match="cannot read"):
        parse_values(text)


@pytest.mark.parametrize(
    ("text", "given"),
    [
        ("exp", {}),
        ("exp(3)", {"rate": 3}),
        ("exp(3, 4)", {"rate": 3, "steps": 4}),
        ("exp(3, steps=4)", {"rate": 3, "steps": 4}),
    ],
)
def test_arguments_get_the_names_of_their_options(text: str, given: dict[str, object]) -> None:
    assert bind(Exp, Spec.parse(text)) == given


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("exp(rat=3)", r"exp has no option 'rat'; did you mean 'rate'\?"),
        ("exp(step=3)", r"did you mean 'steps'\?"),
        ("exp(zzzz=3)", "there are rate, steps"),
        ("exp(1, 2, 3)", "at most 2 options, rate, steps"),
        ("exp(1, rate=2)", "given twice"),
        ("exp(rate=1, rate=2)", "given twice"),
    ],
)
def test_an_option_that_does_not_exist_or_comes_twice_is_refused(text: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        bind(Exp, Spec.parse(text))


def test_a_component_without_options_says_so() -> None:
    with pytest.raises(UserError, match="none"):
        bind(Plain, Spec.parse("plain(3)"))
    with pytest.raises(UserError, match="there are none"):
        bind(Plain, Spec.parse("plain(x=3)"))


@pytest.mark.parametrize(
    ("hint", "value", "kept"),
    [
        (float, 3, 3.0),
        (Positive, 3, 3.0),
        (Positive, 1e-9, 1e-9),
        (NotNegative, 0, 0.0),
        (Share, 0, 0.0),
        (Share, 1, 1.0),
        (Count, 1, 1),
        (Index, 0, 0),
        (bool, True, True),
        (str, "word", "word"),
        (Literal["a", "b"], "a", "a"),
        (tuple[int, ...], (1, 2), (1, 2)),
        (int | None, None, None),
    ],
)
def test_a_value_that_fits_is_kept_and_a_whole_number_is_a_float_where_one_is_asked(
    hint: object, value: object, kept: object
) -> None:
    read = checked(hint, value, "x")
    assert read == kept
    assert type(read) is type(kept)


@pytest.mark.parametrize(
    ("hint", "value"),
    [
        (float, "5.0"),
        (float, True),
        (float, None),
        (int, 5.0),
        (int, "5"),
        (int, True),
        (bool, 1),
        (bool, "true"),
        (str, 5),
        (Positive, 0),
        (Positive, -1.0),
        (NotNegative, -1e-9),
        (Share, 1.01),
        (Share, -0.01),
        (Count, 0),
        (Count, 1.5),
        (Index, -1),
        (Literal["a", "b"], "c"),
        (tuple[int, ...], ("a",)),
        (Positive, Spec("exp")),
        (Positive, float("nan")),
        (Positive, float("inf")),
        (NotNegative, float("inf")),
    ],
)
def test_a_value_of_another_type_or_out_of_range_is_refused_with_option_and_value(hint: object, value: object) -> None:
    with pytest.raises(UserError, match=r"^exp: option 'rate' is .*, and should be ") as caught:
        checked(hint, value, "exp: option 'rate'")
    assert str(value) in str(caught.value)


def test_ranges_are_told() -> None:
    with pytest.raises(UserError, match="greater than 0"):
        checked(Positive, -1, "x")
    with pytest.raises(UserError, match="less than or equal to 1"):
        checked(Share, 2, "x")


def test_a_missing_option_and_a_refused_combination_are_told() -> None:
    with pytest.raises(UserError, match=r"^window: needs low, high$"):
        make(Window, {}, "window")
    with pytest.raises(UserError, match="low must be below high"):
        make(Window, {"low": 1.0, "high": 0.0}, "window(1, 0)")
    assert make(Window, {"low": 0.0, "high": 1.0}, "window") == Window(0.0, 1.0)


def test_an_option_with_a_default_that_is_made_anew_is_not_missing() -> None:
    @dataclass(frozen=True)
    class Made:
        sizes: tuple[int, ...] = field(default_factory=lambda: (1, 2))

    assert make(Made, {}, "made").sizes == (1, 2)


@pytest.mark.parametrize(
    ("name", "near"),
    [("emgim", "emigm"), ("mask-git", "maskgit"), ("MaskGIT", "maskgit"), ("halto", "halton")],
)
def test_the_nearest_name_is_suggested(name: str, near: str) -> None:
    assert suggestion(name, ["emigm", "maskgit", "halton"]) == f"did you mean {near!r}?"


def test_where_nothing_is_near_all_names_are_listed() -> None:
    assert suggestion("zzz", ["b", "a"]) == "there are a, b"
    assert suggestion("zzz", []) == "there are none"


@pytest.mark.parametrize(
    ("path", "value"),
    [(("high",), 0.5), (("inner", "scale"), 2.0), (("low",), None), (("high", "scale"), None)],
)
def test_an_option_is_found_at_its_path(path: tuple[str, ...], value: object) -> None:
    spec = Spec.parse("interval(high=0.5, inner=constant(scale=2.0))")
    assert option_at(spec, path) == value
    assert option_at(spec, ()) == spec
