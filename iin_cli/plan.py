"""The plan of a fit: everything inferred instead of configured, as printed by `--dry-run` and kept in `plan.json`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Literal

from .errors import UsageError, one_of
from .translator.dims import ESTIMATORS, Estimator
from .translator.pair_moments import MANY_ROWS

__all__ = [
    "METHODS",
    "PRESETS",
    "WIDE",
    "Cost",
    "Method",
    "Preset",
    "TranslatorPlan",
    "Wishes",
    "few_rows",
    "parameter_count",
    "plan_translator",
    "share_out",
]

Preset = Literal["auto", "paper", "compvis"]
Method = Literal["auto", "flow", "linear"]
METHODS: tuple[Method, ...] = ("auto", "flow", "linear")
PRESETS: tuple[Preset, ...] = ("auto", "paper", "compvis")
AUTO_STEPS = 1500
# Nats per unit of correlation of a factor's pairs: 2 to 10 gave the same on the tasks that it was chosen on. Of
# straightness, four times as much keeps 0.98 of it instead of 0.94, and costs likelihood where a factor has many
# dimensions.
PAIR_REWARD = 5.0
# Mean age of the averaged weights, as a part of the steps so far.
AVERAGE = 0.1
# Below this width the likelihood gains more from blocks, above it from width (Table 6).
WIDE = 256
# A wide translator on a CPU is sized for ten minutes on two ordinary cores, in float32 or in bfloat16. These are
# constants and not measurements, so that the same command makes the same plan when it is resumed.
CPU_SECONDS, CPU_FLOPS, CPU_FLOPS_BFLOAT16 = 600.0, 4e10, 1.2e11
LEAST_STEPS_WIDE = 600
# Blocks, width and steps for fewer than 10·N wide rows: a larger translator overfits before it is useful.
FEW_ROWS_SIZE = (4, 128, 1000)
# Fractions of a feature's std. Fewer than 10·N rows are overfitted within a hundred steps unless more noise is added.
FEATURE_NOISE, FEATURE_NOISE_FEW = 0.01, 0.3
# Memory of libraries and interpreter, before the first latent.
PROGRAM_BYTES = 5 * 2**27
# Preset -> learning rate of Adam.
RATES: dict[Preset, float] = {"auto": 1e-3, "paper": 1e-4, "compvis": 1.125e-4}


@dataclass(frozen=True)
class Cost:
    """Cost of a fit, estimated before it begins.

    Attributes:
        parameters: number of the translator's parameters.
        flops_per_step: floating-point operations of one optimisation step, forward and backward.
        flops_per_second: the machine's speed, measured or assumed.
        seconds: duration of all steps, without validation.
        memory_bytes: peak memory, the program included; on a GPU mostly GPU memory.
    """

    parameters: int
    flops_per_step: float
    flops_per_second: float
    seconds: float
    memory_bytes: int

    def as_dict(self) -> dict[str, Any]:
        """Return the cost as JSON values."""
        return asdict(self)

    def sentence(self, steps: int) -> str:
        """Describe the cost of `steps` steps in one line."""
        return (
            f"{self.parameters / 1e6:.1f} M parameters, {self.flops_per_step / 1e9:.3g} GFLOP per step: "
            f"about {_duration(self.seconds)} for {steps} steps at {self.flops_per_second / 1e9:.0f} GFLOP/s, "
            f"and {self.memory_bytes / 2**30:.1f} GiB of memory"
        )


@dataclass(frozen=True)
class TranslatorPlan:
    """Settings by which a translator is built and fitted.

    Attributes:
        blocks, hidden, depth: architecture (Table 6).
        batch_pairs: pairs per step, divided over the concepts; without concepts twice as many single latents.
        steps: optimisation steps at most.
        max_seconds: wall-clock limit of the fit, None for none.
        learning_rate, betas: Adam.
        warmup_steps: linear rise of the learning rate.
        decay: `cosine` to zero over the run, `linear` to zero after `decay_start` steps, or `constant`.
        validate_every: steps between measurements of the held-out NLL.
        patience: measurements without improvement before stopping; 0 never stops.
        clip_norm: limit of the gradient's norm, 0 for none.
        feature_noise: standard deviation of the noise added to z, as a fraction of each component's own.
        sigma: correlation of pairs that share a factor.
        sigmas: concept -> its own correlation, where it differs.
        linear_start: begin with the closed form of the pair spectrum, and never end below it.
        within: keep flows inside each factor, where rows are too few for one over all of z.
        pair_reward: nats per unit of correlation of a factor's pairs, and of straightness; 0 for none.
        gaussianise: map every dimension of the closed form to a Gaussian one.
        average: keep the average of the weights, of that mean age as a part of all steps so far; 0 for the last ones.
        autocast: run the matrix products in bfloat16; weights, likelihood and round trip stay float32.
        compile: run each step's passes as `torch.compile` makes them.
    """

    preset: Preset
    blocks: int
    hidden: int
    depth: int
    batch_pairs: int
    steps: int
    max_seconds: float | None
    learning_rate: float
    betas: tuple[float, float]
    warmup_steps: int
    decay: Literal["cosine", "linear", "constant"]
    decay_start: int
    validate_every: int
    patience: int
    clip_norm: float
    feature_noise: float
    sigma: float
    autocast: bool
    sigmas: dict[str, float] = field(default_factory=dict)
    linear_start: bool = False
    within: bool = False
    pair_reward: float = 0.0
    gaussianise: bool = False
    average: float = 0.0
    compile: bool = False

    @property
    def usual_rate(self) -> float:
        """The learning rate of the preset, whatever the user asked for."""
        return RATES[self.preset]

    @property
    def method(self) -> Method:
        """The closed form alone, or a flow."""
        return "linear" if self.blocks == 0 else "flow"

    def as_dict(self) -> dict[str, Any]:
        """Return the plan as JSON values."""
        return asdict(self)

    def cost(self, dim: int, flops_per_second: float = CPU_FLOPS, sizes: Sequence[int] = ()) -> Cost:
        """Estimate the cost of fitting a translator of N = `dim` by this plan on a machine of that speed.

        Args:
            sizes: of the factors, where each has a flow of its own (`within`).
        """
        flows = sizes if self.within and sizes else (dim,)
        parameters = sum(parameter_count(size, self.blocks, self.hidden, self.depth) for size in flows)
        rows = 2 * self.batch_pairs
        # Two operations per weight and row going forward, four going back: to the weights and to the inputs.
        flops = 6.0 * parameters * rows
        # Weights, gradients, two moments of Adam, the average, the best weights so far, and those being saved.
        kept = (7 if self.average else 6) * parameters
        activations = rows * self.blocks * (8 * (self.depth + 2) * self.hidden * len(flows) + 12 * dim)
        # Latents for the actnorms: from the file, with noise, and between layers; no gradients yet.
        initial = parameters + 5 * dim * max(MANY_ROWS * dim, 2000)
        memory = PROGRAM_BYTES + 4 * max(kept + activations, initial)
        return Cost(parameters, flops, flops_per_second, self.steps * flops / flops_per_second, memory)

    def learning_rate_at(self, step: int, fraction: float) -> float:
        """Return the learning rate of step number `step`, with `fraction` in [0, 1) of the run done."""
        warm = min(1.0, (step + 1) / max(1, self.warmup_steps))
        if self.decay == "cosine":
            return self.learning_rate * warm * 0.5 * (1 + math.cos(math.pi * min(1.0, fraction)))
        if self.decay == "linear":
            left = (self.steps - step) / max(1, self.steps - self.decay_start)
            return self.learning_rate * warm * min(1.0, max(0.0, left))
        return self.learning_rate * warm


@dataclass(frozen=True)
class Wishes:
    """Settings that the user gave instead of leaving them to be inferred; None means infer.

    Attributes:
        method: `linear` for the closed form alone, `flow` for a flow that starts from it, `auto` for a flow unless
            latents are wide and too few for one to separate concepts better.
        dims: concept -> dimensions.
        gaussianise: of the method `linear` alone: map every dimension of the closed form to a Gaussian one.
        estimator: how dimensions are inferred otherwise (Eq 11): `variance` or `correlation`.
        sigma: one number for all factors, or concept -> number; concepts left out keep the preset's.

    All others as in `TranslatorPlan`. Raises UsageError for an unknown preset or estimator, and for a number that is
    not finite.
    """

    preset: Preset = "auto"
    method: Method = "auto"
    steps: int | None = None
    max_seconds: float | None = None
    batch_pairs: int | None = None
    blocks: int | None = None
    hidden: int | None = None
    depth: int | None = None
    sigma: float | Mapping[str, float] | None = None
    feature_noise: float | None = None
    learning_rate: float | None = None
    dims: Mapping[str, int] | None = None
    estimator: Estimator = "variance"
    gaussianise: bool | None = None
    compile: bool | None = None

    def __post_init__(self) -> None:
        one_of("--estimator", self.estimator, ESTIMATORS)
        one_of("--preset", self.preset, PRESETS)
        if one_of("--method", self.method, METHODS) == "linear" and self.preset != "auto":
            raise UsageError(f"--method linear: the preset {self.preset} fits a flow; leave one of them out")
        if self.gaussianise and self.method != "linear":
            raise UsageError("--gaussianise belongs to --method linear: a flow does that and more")
        for item in fields(self):
            value = getattr(self, item.name)
            if isinstance(value, float) and not math.isfinite(value):
                raise UsageError(f"--{item.name.replace('_', '-')} {value}: needs a finite number")

    @property
    def flow(self) -> bool:
        """Whether any of them is about a flow."""
        sizes = (self.steps, self.batch_pairs, self.blocks, self.hidden, self.depth, self.learning_rate)
        return self.method == "flow" or any(size is not None for size in sizes)


def plan_translator(
    dim: int,
    rows: int,
    device: str,
    wishes: Wishes,
    deterministic_latents: bool,
    bfloat16: bool = False,
    concepts: bool = True,
) -> TranslatorPlan:
    """Infer the plan that fits a translator of N = `dim` to `rows` latents on `device` (cpu, cuda or mps).

    Args:
        deterministic_latents: latents are points and not samples of a posterior, so they need feature noise.
        bfloat16: `device` multiplies matrices faster in bfloat16.
        concepts: there are any; without them the likelihood is all that counts.
    """
    said = {item.name: getattr(wishes, item.name, None) for item in fields(TranslatorPlan)}
    said = {name: value for name, value in said.items() if value is not None}
    if isinstance(wishes.sigma, Mapping):
        said["sigmas"] = dict(said.pop("sigma"))
    plan = _auto(dim, rows, device, bfloat16) if wishes.preset == "auto" else _published(dim, wishes.preset)
    noise = FEATURE_NOISE if rows >= MANY_ROWS * dim else FEATURE_NOISE_FEW
    plan = replace(plan, autocast=bfloat16, feature_noise=noise if deterministic_latents else 0.0)
    plan = replace(plan, **said)
    # On fewer than 10·N wide latents a flow separated no concept better, and overfitted most of them.
    closed = plan.within and concepts and not wishes.flow
    if wishes.method == "linear" or closed:
        plan = replace(plan, blocks=0, steps=0, within=False, pair_reward=0.0, average=0.0)
    return replace(
        plan,
        warmup_steps=min(plan.warmup_steps, max(1, plan.steps // 10)),
        validate_every=max(1, min(plan.validate_every, plan.steps // 4 or 1)),
        decay_start=min(plan.decay_start, plan.steps),
    )


def _auto(dim: int, rows: int, device: str, bfloat16: bool) -> TranslatorPlan:
    wide, on_cpu = dim > WIDE, device == "cpu"
    # A small set of latents is overfitted early, so fewer steps of the same schedule cost nothing.
    steps = AUTO_STEPS if rows >= 20_000 else max(600, AUTO_STEPS * rows // 20_000)
    batch_pairs = 125 if wide and on_cpu else 250
    blocks, hidden = (6, min(dim, 2048)) if wide else (12, 128 if on_cpu else 512)
    if wide and on_cpu and rows < MANY_ROWS * dim:
        blocks, hidden, steps = FEW_ROWS_SIZE
    elif wide and on_cpu:
        hidden, steps = _sized_for_cpu(dim, 2 * batch_pairs, steps, CPU_FLOPS_BFLOAT16 if bfloat16 else CPU_FLOPS)
    return TranslatorPlan(
        preset="auto",
        blocks=blocks,
        hidden=hidden,
        depth=2,
        batch_pairs=batch_pairs,
        steps=steps if on_cpu else steps * 5,
        max_seconds=None,
        learning_rate=RATES["auto"],
        betas=(0.9, 0.99),
        warmup_steps=100,
        decay="cosine",
        decay_start=0,
        # Wide latents are usually few and soon overfitted: validate more often to stop in time.
        validate_every=max(25, steps // 24) if wide else max(50, steps // 20),
        patience=6,
        clip_norm=100.0,
        feature_noise=0.0,
        sigma=0.9,
        autocast=False,
        linear_start=True,
        within=wide and rows < MANY_ROWS * dim,
        pair_reward=PAIR_REWARD,
        average=AVERAGE,
    )


def _sized_for_cpu(dim: int, rows: int, steps: int, flops_per_second: float) -> tuple[int, int]:
    """Choose width and steps (`steps` at most) of a wide translator for a CPU, where Table 6's would take days."""
    for hidden in (512, 256, 128):
        flops = 6.0 * parameter_count(dim, 6, hidden, 2) * rows
        affordable = int(CPU_SECONDS * flops_per_second / flops)
        if affordable >= LEAST_STEPS_WIDE:
            break
    return hidden, min(steps, max(affordable, LEAST_STEPS_WIDE))


def _published(dim: int, preset: Preset) -> TranslatorPlan:
    wide = dim > WIDE
    compvis = preset == "compvis"
    return TranslatorPlan(
        preset=preset,
        blocks=6 if wide else 12,
        hidden=2048 if wide else 512,
        depth=2,
        batch_pairs=25,
        steps=120_000,
        max_seconds=None,
        learning_rate=RATES[preset],
        betas=(0.5, 0.9) if compvis else (0.9, 0.999),
        warmup_steps=1,
        decay="linear" if compvis else "constant",
        decay_start=100_000 if compvis else 0,
        validate_every=1000,
        patience=0,
        clip_norm=0.0,
        feature_noise=0.0,
        sigma=0.975 if compvis else 0.9,
        autocast=False,
    )


def share_out(total: int, names: Sequence[str]) -> dict[str, int]:
    """Divide `total` pairs over `names` as evenly as whole numbers allow, at least one each."""
    base, extra = divmod(max(total, len(names)), len(names))
    return {name: base + (index < extra) for index, name in enumerate(names)}


def parameter_count(dim: int, blocks: int, hidden: int, depth: int) -> int:
    """Count the parameters of a translator: each block has one actnorm and two couplings of two nets (Table 6).

    >>> parameter_count(2048, 6, 2048, 2)
    302186496
    """
    if dim == 1:
        return 2 * blocks
    larger, smaller = dim - dim // 2, dim // 2
    inner = depth * (hidden + 1) * hidden
    nets = sum((inputs + 1) * hidden + inner + (hidden + 1) * (dim - inputs) for inputs in (larger, smaller))
    return blocks * (2 * nets + 2 * dim)


def few_rows(what: str, rows: int, dim: int) -> str | None:
    """Return a one-line warning if `rows` latents or pairs, described by `what`, are fewer than 10·N, else None.

    >>> few_rows("faces gives 900 latents", 900, 2048)
    'faces gives 900 latents, fewer than 10·N = 20480: expect the held-out NLL to turn early; more data helps most'
    """
    if rows >= MANY_ROWS * dim:
        return None
    return f"{what}, fewer than 10·N = {10 * dim}: expect the held-out NLL to turn early; more data helps most"


def _duration(seconds: float) -> str:
    for size, unit in ((86400, "days"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
