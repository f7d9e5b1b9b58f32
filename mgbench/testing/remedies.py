"""Advice on how to fix a component that breaks a law."""

import re

# Patterns of law sentences, and advice; the first match is used.
REMEDIES: tuple[tuple[str, str], ...] = (
    (
        "same streams",
        "draw from the `rng` (or `shared`) that is given, as in rng.fold(step.index).uniform(N), never from "
        "torch.rand, random or numpy, and keep no state between calls",
    ),
    (
        "same generator|same seed",
        "give `generator=` to every torch.rand, randn, randint and randperm (of a seed: "
        "torch.Generator().manual_seed(seed)), and keep no state between calls",
    ),
    (
        "same number of steps|same step|same features|same images must have|the same every time|same options",
        "compute from the arguments and the options alone: no state between calls, no clock, and random numbers "
        "only from a generator with a fixed seed",
    ),
    (
        "global random state",
        "use the generator or the stream that is given instead of torch.manual_seed, torch.rand, random or "
        "numpy.random; they change the random numbers of everything that comes after",
    ),
    (
        "leave the tensors|leave the features|changed in place",
        "work on a copy: x.clone() before x[...] = or x.add_(…), or torch.where and masked_fill, which return a "
        "new tensor",
    ),
    (
        "device of what it is given",
        "make every new tensor with device=x.device of the argument x, or register it as a buffer of the module",
    ),
    (
        "depend on its batch|depend on the batch|batch alone|elementwise",
        "compute each row from that row alone (no mean, maximum or sort over axis 0) and draw from one stream a "
        "row, as in rng.uniform(N)",
    ),
    (
        r"never fall|γ\(0\)|γ must lie|γ must be differentiable",
        "γ is the share masked at t: it rises from 0 at t = 0 to 1 at t = 1. Look at its ends and at detach(), "
        "round() or integer division on the way, which take its slope away; 1 − γ is the share kept",
    ),
    (
        "as many tokens as the step says|share of tokens masked that the step says|revealed|reveals",
        "reveal exactly step.reveal of the masked tokens: `mgbench.components.samplers.plans.lowest(scores, "
        "view.mask, step.reveal)` marks them. With a plan whose `reveal` is None each image may have its own "
        "number",
    ),
    (
        "nothing may be masked|nothing masked|first step must start|a step must|a plan must|two plans",
        "take the plan from `mgbench.components.samplers.plans.planned` or `expected`, whose steps follow each "
        "other from all masked at t = 1 to none, and reveal in the last step all that is left",
    ),
    (
        "the times must (lead|fall)",
        "return steps + 1 times from exactly 1 down to 0 (at most 0.01), as torch.linspace(1, 0, steps + 1, "
        "dtype=torch.float64)",
    ),
    (
        "at least one step",
        "yield a state after each step, and leave out steps in which nothing happens; with all steps fixed, name "
        '"sampling_steps" in `ignores`',
    ),
    (
        "masked token must|only token|every row must",
        "mask at least one token of every row: where a row has none, mask the one with the lowest score",
    ),
    (
        "mean share masked|no position may",
        "choose positions uniformly at random, as many as γ(t)·N says: torch.rand(B, N, "
        "generator=generator).argsort(1) ranks them",
    ),
    (
        "weights of masked|also at t = 0|constants to the gradient",
        "weights are constants: clamp t away from 0 before you divide by it, detach() what comes from the "
        "schedule, and give masked tokens a positive weight",
    ),
    (
        "scale must be|scale 1|scale 0",
        "return a finite float that is not negative; the prediction is u + w (c − u), "
        "`mgbench.interfaces.sampling.guided`, where w = 1 is no guidance",
    ),
    (
        'must be "all"|all must be asked',
        'return "all", "labelled" or "nothing"; in the step of index 0 only "all" is possible',
    ),
    (
        "evaluate the head|ask at times|only more steps",
        "`steps` (or the property `evaluations`) promises how often predict is called, at times that the table "
        "has; refuse more steps than it has times with a ValueError",
    ),
    (
        "mean must be|deviation must be|spread must be",
        "look at the coefficients of one step and at the last one, which must end at time 0: on an exact "
        "prediction the values must come out as N(m, s²)",
    ),
    (
        "value under the mask",
        "replace masked tokens before anything else sees them: torch.where(mask[..., None], mask_token, embedding)",
    ),
    (
        "visible tokens must|label, and having none|without classes",
        "embed the visible tokens and the label (−1: no label, an embedding of its own; 0 classes: no labels at "
        "all), and add both to what the blocks see",
    ),
    (
        "likeliest|some code",
        "transform logits without changing their order, and leave at least one code of every row above −∞; at "
        "temperature 0 the head takes the argmax",
    ),
    (
        "gradient",
        "keep the graph from z to the loss: no detach(), argmax or .item() on the way, and no parameter left out of it",
    ),
    (
        "child `network`",
        "call the module that sees all tokens `network`: self.network = parts.network.build(space, classes)",
    ),
    (
        "nearer than the mean|second round",
        "decode must undo encode: the same order of patches, channels and rows, and pixels scaled back to 0 … 255"
        " and rounded",
    ),
    (
        "state must hold",
        "keep what fit learns in parameters or buffers (register_buffer), which state_dict saves, with their "
        "final shapes in __init__",
    ),
    (
        "of fitting",
        "yield (steps done, steps in all, loss) from fit, with steps that rise and end at the last; `return "
        "iter(())` where there is nothing to learn",
    ),
    (
        "have 16 bits",
        "make the prediction float32 before it is added to x: predict(x, t)[0].float()",
    ),
    (
        "known of the reference",
        "let `__call__` be compare(generated, reference, self.of_reference(reference)), change nothing in what is "
        "known, and read neither generated nor held-out images for it",
    ),
    (
        "different images must",
        "look at more of the image: a feature that is rounded, clipped or averaged too far cannot tell two of "
        "them apart",
    ),
    (
        "evaluation mode",
        "return self.eval() from build, so that dropout and batch normalisation stand still",
    ),
    (
        "declared|needs a label|better is|depends on the features",
        'declare it: scores: ClassVar = {"name": ScoreInfo("Label", "lower")}, with of="images" only where '
        "features play no part",
    ),
    (
        "state of batches",
        "update, merge and compute must add up sums and counts, not means of batches",
    ),
    (
        "name its numbers|some number",
        'return a dict of finite floats, {"name": 1.0}, or raise Unfit with the reason where it cannot be computed',
    ),
    (
        "not there must be named",
        'raise Unfit("…needs the logits of a classifier") with what is missing',
    ),
    (
        "licence|name an extractor",
        'give ImageData a `licence` ("CC BY 4.0") and the dataset a class variable `extractor`, such as "digits_cnn"',
    ),
    (
        "number of classes|number of codes",
        "count codes and labels from 0: the largest is one less than how many there are",
    ),
    (
        "tokens of some kind",
        "let `check(self, parts, space)` raise Unfit only for tokens that the component cannot work with, and "
        "accept codes (space.codes is a number), vectors (None) or both",
    ),
    (
        "grid must hold",
        "the grid of the TokenSpace is (rows, columns), and rows · columns is its length; None where tokens lie "
        "in no grid",
    ),
    (
        "job|stop|tell|recorded|trial|leave those alone|checkpoint|rows",
        "pass the events of the local engine on as they come, one end for each job, and let `stop` and `kill` "
        "reach it: `mgbench/engines/local.py` shows an engine that does",
    ),
    (
        "finite|never below 0|never above 0|lie in|lie within|within",
        "clamp or rescale the result, and look at the ends of the range first, where 0/0 and log 0 happen",
    ),
    (
        r"int64|float64|bool|uint8|\[.*\]|dtype|shape|the id must be",
        "return a tensor of the shape and dtype that the law names: .to(dtype), and no axis squeezed away or kept"
        " too many",
    ),
)


def remedy(law: str, kind: str) -> str:
    """The advice for the sentence of a law; without any, a reference to the protocol of the kind."""
    for words, advice in REMEDIES:
        if re.search(words, law):
            return advice
    return f"hold the component against the protocol of a {kind.replace('_', ' ')} in mgbench/interfaces/components.py"
