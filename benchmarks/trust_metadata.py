"""What readers make of metadata that a fuzzer writes: mutations led by the coverage of the reading code.

Every case is one text of metadata in a small file of one kind: translator, backbone (an autoencoder, a classifier, one
with erased factors), latents, statistics, stylizer, the state of a training; or the text of a `plan.json`, a manifest,
the record of a shard. Three cases in four are re-signed with digests that agree, so that what stands behind the digest
is reached. The file is described, as `iin info` does, and opened by the reader of its kind. A case must succeed or end
in CheckpointError (exit status 4), within a second of the processor; everything else is a fault, named once for each
place in the code. Most mutations change values of the JSON, the others bytes; some start from a good file again.

Without atheris, or with `--blind`, nothing leads the mutations: each starts from a good file.

    uv run --with atheris python benchmarks/trust_metadata.py [--minutes 25] [--seed 0] [--work runs/trust-metadata]
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

try:
    import atheris
except ImportError:
    atheris = None

with atheris.instrument_imports(include=["iin_cli", "iin_sketch"]) if atheris else nullcontext():
    import torch
    from iin_sketch.networks import Stylizer
    from iin_sketch.stylizer_files import open_stylizer, save_stylizer
    from safetensors.torch import load_file

    from iin_cli.backbones.autoencoder import Autoencoder
    from iin_cli.backbones.classifier import Classifier
    from iin_cli.errors import CheckpointError
    from iin_cli.interpretation.erased import Erased
    from iin_cli.interpretation.opening import describe_backbone, open_network, open_translator
    from iin_cli.io import checkpoint, describe, schema
    from iin_cli.io.tensor_file import digest_of_tensors, read_metadata
    from iin_cli.io.training_state import read_state, write_state
    from iin_cli.latents.files import read_iin_metadata, verified
    from iin_cli.metrics.fid import Statistics, read_statistics, write_statistics
    from iin_cli.translator.erasing import Eraser
    from iin_cli.translator.factors import Factors
    from iin_cli.translator.flow import Translator

import numpy as np
from stages import machine
from trust import edited

SLOW_SECONDS = 1.0
LONGEST = 2**14
# Share of the mutations that start from a seed, and of those that change values rather than bytes.
FROM_SEED, OF_VALUES = 0.3, 0.7


@dataclass(frozen=True)
class Kind:
    """A kind of file: how its text is read, a good text, and what stands before it and behind it in the file."""

    name: str
    text: str
    read: Callable[[Path], Any]
    tensors: dict[str, Any] = field(default_factory=dict)
    data: bytes = b""
    digest: str = ""

    @property
    def is_json(self) -> bool:
        """Whether the text is a file of its own."""
        return not self.tensors

    def signed(self, text: str) -> str:
        """Return `text` with digests that agree, where it is a JSON object."""
        try:
            values = json.loads(text)
            values["digest"] = {"tensors": self.digest}
            values["digest"]["metadata"] = checkpoint._digest_of_metadata(values)
            return json.dumps(values)
        except (ValueError, TypeError, RecursionError):
            return text

    def written(self, file: Path, text: str) -> None:
        """Write a file that holds `text`."""
        if self.is_json:
            file.write_bytes(text.encode("utf-8", "surrogatepass"))
            return
        header = json.dumps({"__metadata__": {"iin": text}, **self.tensors}).encode()
        file.write_bytes(len(header).to_bytes(8, "little") + header + self.data)


@dataclass
class Tally:
    """What became of the cases so far."""

    kinds: list[Kind]
    file: Path
    ends: float
    began: float = field(default_factory=time.monotonic)
    verdicts: Counter[tuple[str, str]] = field(default_factory=Counter)
    faults: dict[str, str] = field(default_factory=dict)
    slowest: float = 0.0

    def one(self, data: bytes) -> None:
        """Read one case."""
        if time.monotonic() > self.ends:
            self.finish()
        if len(data) < 2:
            return
        kind, text = self.kinds[data[0] % len(self.kinds)], data[2:].decode("utf-8", "replace")
        kind.written(self.file, kind.signed(text) if data[1] % 4 and not kind.is_json else text)
        started, place = time.process_time(), "time"
        try:
            kind.read(self.file)
            verdict = "opened"
        except CheckpointError as error:
            verdict = "refused" if len(str(error)) < 2000 else "LONG MESSAGE"
        except Exception as error:
            frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "iin_" in frame.filename]
            place = f"{type(error).__name__} at {Path(frames[-1].filename).name}:{frames[-1].lineno}"
            verdict = f"FAULT {type(error).__name__}"
        seconds = time.process_time() - started
        self.slowest = max(self.slowest, seconds)
        if seconds > SLOW_SECONDS:
            verdict = "SLOW"
        self.verdicts[kind.name, verdict] += 1
        if verdict.isupper() or verdict[:5] == "FAULT":
            self.faults.setdefault(f"{kind.name}: {verdict}, {place}, {seconds:.1f} s", text[:600])

    def finish(self) -> NoReturn:
        """Print a table and the faults, and leave: a fuzzer does not return."""
        names = sorted({verdict for _, verdict in self.verdicts})
        print(f"| kind | cases | {' | '.join(names)} |\n|---|--:|{'--:|' * len(names)}")
        for kind in self.kinds:
            row = [self.verdicts[kind.name, name] for name in names]
            print(f"| {kind.name} | {sum(row):,} | {' | '.join(f'{count:,}' for count in row)} |")
        seconds, cases = time.monotonic() - self.began, sum(self.verdicts.values())
        print(
            f"\n{cases:,} cases, {cases / seconds:.0f} a second, the slowest {self.slowest:.2f} s. {machine(seconds)}."
        )
        print(f"{len(self.faults)} faults.")
        for place, text in self.faults.items():
            print(f"- {place}\n  {text!r}")
        sys.stdout.flush()
        os._exit(1 if self.faults else 0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=25.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--blind", action="store_true", help="mutate without atheris")
    parser.add_argument("--work", type=Path, default=Path("runs/trust-metadata"))
    options = parser.parse_args()
    work = options.work.resolve()
    shutil.rmtree(work, ignore_errors=True)
    (work / "corpus").mkdir(parents=True)
    torch.set_num_threads(1)
    kinds = made(work)
    seeds = [bytes([number, signed]) + kind.text.encode() for number, kind in enumerate(kinds) for signed in (0, 1)]
    for number, seed in enumerate(seeds):
        (work / "corpus" / f"{number:02d}").write_bytes(seed)
    tally = Tally(kinds, work / "case.safetensors", time.monotonic() + 60 * options.minutes)
    if atheris is None or options.blind:
        blind(tally, seeds, options.seed)
    # A case that never returns is ended, and kept, by the fuzzer itself.
    limits = [
        f"-max_len={LONGEST}",
        f"-seed={options.seed + 1}",
        "-reduce_inputs=0",
        "-timeout=60",
        f"-artifact_prefix={work}/",
    ]
    atheris.Setup([sys.argv[0], *limits, str(work / "corpus")], tally.one, custom_mutator=partial(mutated, seeds))
    atheris.Fuzz()


def blind(tally: Tally, seeds: list[bytes], seed: int) -> NoReturn:
    """Mutate one of the seeds, again and again."""
    generator = random.Random(seed)
    while True:
        tally.one(mutated(seeds, generator.choice(seeds), LONGEST, generator.getrandbits(32)))


def mutated(seeds: list[bytes], data: bytes, longest: int, seed: int) -> bytes:
    """Change values of the JSON of a case, or a few of its bytes; some start from a seed."""
    generator = np.random.default_rng(seed)
    if generator.random() < FROM_SEED:
        data = seeds[int(generator.integers(len(seeds)))]
    if generator.random() < OF_VALUES:
        try:
            values = json.loads(data[2:])
            for _ in range(int(generator.integers(1, 4))):
                values = edited(values, generator)
            changed = json.dumps(values).encode()
            if len(changed) <= longest - 2:
                return data[:2] + changed
        except (ValueError, IndexError, TypeError, RecursionError):
            pass
    if atheris is not None:
        return atheris.Mutate(data, longest)
    place = int(generator.integers(len(data) + 1))
    return data[:place] + generator.bytes(int(generator.integers(3))) + data[place + int(generator.integers(3)) :]


def made(work: Path) -> list[Kind]:
    """Make one small good file of each kind."""
    dims = {"digit": 2, "residual": 2}
    translator = Translator(4, blocks=1, hidden=4, depth=1, seed=0)
    backbone = Autoencoder.from_config({"image_size": 32, "latent_dim": 4, "base_channels": 2})
    origin = {"backbone": {"name": "x", "source": "y", "sha256": "0" * 64}, "data": {"name": "digits", "root": "r"}}
    training = {"training": {"steps": 3, "seconds": 0.5, "heldout_nll": 1.5}, "versions": {"iin": "1"}}
    factors = {"config": translator.config, "factors": Factors.of(dims).as_json()}
    save = checkpoint.save
    save(
        work / "translator",
        translator.state_dict(),
        {"kind": "translator", "name": "translator", **factors, **origin, **training},
    )
    classifier = Classifier.from_config({"image_size": 32, "latent_dim": 4, "base_channels": 2, "classes": ["a", "b"]})
    erased = Erased(classifier, None, Eraser(translator, Factors.of(dims), ["digit"]))
    for name, module in {"autoencoder": backbone, "classifier": classifier, "erased": erased}.items():
        save(work / name, module.state_dict(), {**describe_backbone(module), **training})
    latents = {"split": "test", "concepts": ["digit"], "renderings": ["image"], "label_names": {"class": ["a", "b"]}}
    save(work / "latents", {"z": torch.zeros(3, 4)}, {"kind": "latents", **latents, **origin})
    write_statistics(work / "statistics", Statistics(torch.zeros(3).double(), torch.eye(3).double(), 9, source="x"))
    state = {"loop": {"steps": 3, "best": float("inf")}, "optimiser": {0: {"step": torch.zeros(1)}}, "list": [1, (2,)]}
    write_state(work / "training", state)
    facts = {"encoder": {"source": "random", "width": 4}, "style": {"name": "a,b", "sha256": "0"}, **training}
    save_stylizer(work / "stylizer", Stylizer(4, 4, 32), facts)
    records = {
        "plan.json": ({"seed": 0, "steps": 3, "sizes": {"digit": 2}}, schema.Plan),
        "manifest": ({"format_version": 1, "settings": {"n": 4}, "seeds": [[0, 4]]}, schema.Manifest),
        "shard": ({"seeds": [[0, 4]], "files": {"a": "0" * 64}}, schema.ShardRecord),
    }
    readers = {
        "translator": lambda file: open_translator(file, with_network=False),
        **dict.fromkeys(("autoencoder", "classifier", "erased"), open_network),
        "latents": lambda file: read_iin_metadata(verified(file)),
        "statistics": read_statistics,
        "training": read_state,
        "stylizer": lambda file: open_stylizer(file, "cpu").described,
    }
    return [
        *(of_file(work / name, lambda file, read=read: (told(file), read(file))) for name, read in readers.items()),
        *(
            Kind(name, json.dumps(values), lambda file, wanted=wanted: schema.read_json(file, wanted))
            for name, (values, wanted) in records.items()
        ),
    ]


def of_file(file: Path, read: Callable[[Path], Any]) -> Kind:
    content = file.read_bytes()
    stop = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:stop])
    header.pop("__metadata__")
    text, digest = read_metadata(file)["iin"], digest_of_tensors(load_file(file))
    return Kind(file.name, text, read, header, content[stop:], digest)


def told(file: Path) -> None:
    """Describe a file as `iin info` does, in words and in JSON."""
    found = describe.describe(file)
    for each in found.checkpoints:
        each.tables()
        each.summary()
    json.dumps(found.as_dict())


if __name__ == "__main__":
    main()
