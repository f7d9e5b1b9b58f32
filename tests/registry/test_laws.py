"""A fault in a component is told by the law it breaks, the input it broke on, and what to do about it."""

import ast
from pathlib import Path

import pytest

from mgbench.cli.commands.new_plugin import project
from mgbench.errors import Unfit, UserError
from mgbench.registry.laws import LawBroken, LawCheck, law_checks
from mgbench.registry.loading import installed
from mgbench.testing import laws
from mgbench.testing.remedies import REMEDIES, remedy

PLAN = "return planned(schedule, space.length, times)"
PLANNED = "steps = list(planned(schedule, space.length, times))"
SHUFFLED = "torch.rand(batch, tokens, generator=generator, device=generator.device)"

# The fault: kind, what is replaced in a component that keeps the laws, by what; words of law, input and remedy.
FAULTS: dict[str, tuple[str, str, str, str, str, str]] = {
    "falls": (
        "mask_schedule",
        "return t**self.p",
        "return 4 * t * (1 - t)",
        "never fall",
        "float32[257]",
        "rises from 0",
    ),
    "inverted": ("mask_schedule", "return t**self.p", "return 1 - t**self.p", "never fall", "[0, 1]", "share kept"),
    "dtype": (
        "mask_schedule",
        "return t**self.p",
        "return t.double() ** self.p",
        "dtype of t",
        "float64",
        ".to(dtype)",
    ),
    "batch": (
        "mask_schedule",
        "return t**self.p",
        "return (t / t.max() * (0.9 + t.numel() / 5000)).clamp(0, 1)",
        "elementwise",
        "float32[257]",
        "from that row alone",
    ),
    "device": (
        "mask_schedule",
        "return t**self.p",
        "return t * torch.ones(len(t)) if t.ndim == 1 else t",
        "device of what it is given",
        "float64",
        "device=x.device",
    ),
    "mutates": ("mask_schedule", "return t**self.p", "return t.pow_(self.p)", "leave the tensors", "257", "x.clone()"),
    "detached": (
        "mask_schedule",
        "return t**self.p",
        "return t.detach() ** self.p + 0 * t",
        "differentiable",
        "inside = float64",
        "detach()",
    ),
    "raises": (
        "mask_schedule",
        "return t**self.p",
        "return t**self.power",
        "raised AttributeError",
        "t = float32",
        "mend",
    ),
    "reseeds": (
        "mask_schedule",
        "return t**self.p",
        "torch.manual_seed(torch.seed())\n        return t**self.p",
        "random state of torch",
        "fault_",
        "torch.manual_seed",
    ),
    "nan at t=0": (
        "loss_weighting",
        "weight = 1 + self.k * (1 - t)",
        "weight = 1 / t",
        "finite, also at t = 0",
        "weight = float32[33, 8]",
        "clamp t away from 0",
    ),
    "sums": (
        "loss_weighting",
        "weight[:, None] * mask",
        "weight[:, None] * (~mask)",
        "must be positive",
        "mask",
        "positive",
    ),
    "global": (
        "masking",
        SHUFFLED,
        "torch.rand(batch, tokens)",
        "same generator must give the same masks",
        "rows = 64",
        "generator=",
    ),
    "first tokens": (
        "masking",
        "scores.argsort(1).argsort(1)",
        "torch.arange(tokens)",
        "no position may be masked more often",
        "length = 64",
        "uniformly at random",
    ),
    "none masked": ("masking", ".clamp(1, tokens)", "", "a masked token", "rows = 64", "at least one token"),
    "left masked": (
        "sampler",
        PLAN,
        f"{PLANNED}\n        return steps[:-1] or steps",
        "leave nothing masked",
        "steps = 5",
        "planned",
    ),
    "off by one": (
        "sampler",
        "place > (step.reveal or 0)",
        "place > (step.reveal or 0) + 1",
        "as many tokens as the step says",
        "step = Step(",
        "lowest(scores",
    ),
    "shared noise": (
        "sampler",
        "place = view.mask.cumsum(1)",
        "place = (view.mask * (1 + torch.arange(len(view.mask))[:, None])).cumsum(1)",
        "as many tokens as the step says|depend on its batch",
        "step = Step(",
        "step.reveal|row alone",
    ),
    "sees too much": (
        "sampler",
        "place = view.mask.cumsum(1)",
        "place = view.logits.amax(-1)",
        "raised AttributeError",
        "step = Step(",
        "check",
    ),
    "reveals in place": (
        "sampler",
        "return view.mask & (place > (step.reveal or 0))",
        "return view.mask.logical_and_(place > (step.reveal or 0))",
        "leave the tensors",
        "step = Step(",
        "masked_fill",
    ),
    "short grid": ("time_grid", "steps + 1", "steps", "float64 \\[steps \\+ 1\\]", "steps = 1", "shape and dtype"),
    "not to 0": ("time_grid", "linspace(1, 0,", "linspace(1, 0.2,", "lead from 1 to about 0", "steps = ", "linspace"),
    "negative": ("guidance_schedule", "else 1.0", "else -1.0", "not negative", "index = 0", "not negative"),
    "reuses nothing": (
        "reuse",
        "step.index and step.share_now < self.below",
        "step.t > 0.5",
        "must be asked",
        "total = 1",
        "step of index 0",
    ),
    "not inverse": (
        "tokenizer",
        "return ((pixels + 1)",
        "return ((pixels.flip(2) + 1)",
        "nearer than the mean image",
        "images = uint8[64, 3, 8, 8]",
        "undo encode",
    ),
    "forgets": (
        "tokenizer",
        "patches = nn.functional.unfold(images.float() / 127.5 - 1",
        "patches = nn.functional.unfold(images.float() / 127.5 - images.float().mean() / 127.5",
        "depend on its batch",
        "tokens = float32[64, 16, 12]",
        "row alone",
    ),
    "peeks": (
        "network",
        "torch.where(mask[..., None], self.mask_token, self.embed(tokens))",
        "self.embed(tokens) + self.mask_token",
        "value under the mask",
        "mask = bool[5, 6]",
        "torch.where",
    ),
    "unlabelled": (
        "network",
        "seen + self.label(labels % self.label.num_embeddings)[:, None]",
        "seen",
        "label, and having none",
        "labels = int64[5]",
        "an embedding of its own",
    ),
    "misdeclared": ("head", "if not space.codes:", "if False:", "raised", "z = float32[7, 8]", "Unfit"),
    "fits nothing": ("head", "if not space.codes:", "if True:", "tokens of some kind", "fault_", "only for tokens"),
    "guides twice": (
        "head",
        "self(z_uncond), scale)",
        "self(z_uncond), scale + 1)",
        "at scale 1",
        "z = float32",
        "u + w",
    ),
    "one stream": (
        "process",
        "request.images.fold(place)",
        "request.images[torch.arange(len(request.images.keys))].fold(place).fold(len(mask))",
        "depend on its batch",
        "some = int64[3]",
        "row alone",
    ),
    "promises": (
        "solver",
        "for step in range(self.steps):",
        "for step in range(self.steps + 1):",
        "as often as it promises",
        "promised = 20",
        "promises",
    ),
    "unordered": (
        "code_draw",
        "return logits.masked_fill(logits < least, -math.inf)",
        "return -logits",
        "likeliest code must stay",
        "logits = float64[7, 5]",
        "without changing their order",
    ),
    "unlicensed": ("dataset", '"Public domain"', '""', "licence", "classes = 2", "licence"),
    "undeclared": (
        "metric",
        ": ClassVar[Mapping[str, ScoreInfo]] =",
        "_: ClassVar =",
        "must be declared",
        "fault_",
        "ScoreInfo",
    ),
    "training": ("extractor", "self.eval()", "self.train()", "evaluation mode", "fault_", "self.eval()"),
}


def name_of(fault: str) -> str:
    return f"fault_{list(FAULTS).index(fault)}"


def written(folder: Path, name: str, kind: str, before: str, after: str) -> str:
    text = project(name, kind)[f"mgbench_{name}.py"]
    assert before in text
    path = folder / f"mgbench_{name}.py"
    path.write_text(text.replace("from mgbench import", "import torch\nfrom mgbench import", 1).replace(before, after))
    return str(path)


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> dict[str, LawCheck]:
    """Every faulty component by its name, each from a plugin of its own."""
    folder = tmp_path_factory.mktemp("faulty")
    files = [written(folder, name_of(fault), *FAULTS[fault][:3]) for fault in FAULTS]
    return {str(one.spec): one for one in law_checks(files)}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_told_with_law_input_and_remedy(faulty: dict[str, LawCheck], fault: str) -> None:
    kind, _, _, law, given, cure = FAULTS[fault]
    with pytest.raises(LawBroken, match=rf"{kind} {name_of(fault)}\nlaw: [^\n]*({law})") as caught:
        faulty[name_of(fault)]()
    _, _, told_given, told_cure = str(caught.value).splitlines()
    assert given in told_given
    assert any(word in told_cure for word in cure.split("|"))


def sentences() -> list[str]:
    """The sentence of every `need` in the laws."""
    found = []
    for path in Path(laws.__path__[0]).glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "need":
                words = [part.value for part in ast.walk(node.args[1]) if isinstance(part, ast.Constant)]
                found.append(" ".join(map(str, words)))
    return found


def test_every_law_has_a_remedy_of_its_own() -> None:
    known = {advice for _, advice in REMEDIES}
    assert len(sentences()) > 100
    assert not [law for law in sentences() if remedy(law, "any") not in known]


def test_a_component_that_needs_options_is_not_checked_until_it_has_them(tmp_path: Path) -> None:
    path = written(tmp_path, "fresh", "mask_schedule", "p: Positive = 2.0", "p: Positive")
    with pytest.raises(Unfit, match=r"fresh needs p; write fresh\(p=…\); --spec 'fresh\(…\)' checks it with options"):
        law_checks([path])[0]()
    law_checks([path], ["fresh(p=2)"])[0]()
    with pytest.raises(UserError, match=r"bring no frehs\(p=2\); they bring fresh"):
        law_checks([path], ["frehs(p=2)"])


def test_our_own_plugins_are_held_to_the_laws_too() -> None:
    found = {str(one): one for one in law_checks(["emigm", "schedules.mask_schedules"], ["exp(rate=5)"])}
    assert {"masking shared", "method emigm", "mask_schedule exp(rate=5)"} <= set(found)
    for name in ("masking shared", "method emigm", "mask_schedule exp(rate=5)"):
        assert found[name].broken() is None


def test_a_method_whose_data_are_not_here_is_not_checked(tmp_path: Path) -> None:
    path = tmp_path / "far.py"
    path.write_text(
        "from mgbench import Recipe, hookimpl\n\n\n@hookimpl\ndef mgbench_recipes():\n"
        "    return {'far': Recipe(dataset='image_folder(path=/nowhere/at/all)')}\n"
    )
    (one,) = law_checks([str(path)])
    with pytest.raises(Unfit, match=r"its data are not here: .*there is no folder '/nowhere/at/all'"):
        one.broken()


def test_the_parts_of_every_bundled_method_work_together() -> None:
    checks = [one for one in law_checks(installed()) if one.kind == "method"]
    assert len(checks) >= 20
    found = {str(one): _broken(one) for one in checks}
    assert not {name: said for name, said in found.items() if said}


def _broken(one: LawCheck) -> object:
    try:
        return one.broken()
    except Unfit:
        return None
