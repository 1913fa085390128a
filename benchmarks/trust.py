"""What readers do with files that are not as they were saved: mutants of every kind of file, read by the real commands.

Small runs write a backbone, a translator, latents, a cached encoding, the state of an interrupted fit, and a stylizer
(that one untrained). Each mutant changes one thing in one file: a bit, a block of zeros, a cut, one value of the
metadata, the type or shape of a tensor. Half of the changes to metadata and all to tensors are *re-signed*: written
with digests that agree, so that only the schema and the checks of shapes and values can refuse them; such a file with
other numbers of the right kind is another file and not a damaged one. A `plan.json` with other settings is refused with
2, as a command that was not repeated as it was. Prints a Markdown table, and what was wrong.

    uv run python benchmarks/trust.py [--mutants 3000] [--seed 0] [--work runs/trust]
"""

from __future__ import annotations

import argparse
import json
import math
import os
import shutil
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from iin_sketch.networks import Stylizer
from iin_sketch.stylizer_files import open_stylizer, save_stylizer
from safetensors.torch import load_file, save_file
from stages import machine

from iin_cli.commands.files.encode import encode
from iin_cli.commands.files.translate import translate
from iin_cli.commands.make.fit_translator import fit_translator
from iin_cli.commands.make.train_backbone import BackboneChoice, train_backbone
from iin_cli.errors import IinError
from iin_cli.interpretation.data_choice import DataChoice
from iin_cli.interpretation.network_choice import NetworkChoice
from iin_cli.interpretation.opening import open_network, open_translator
from iin_cli.io import checkpoint
from iin_cli.io.tensor_file import digest_of_file, digest_of_tensors, read_metadata
from iin_cli.plan import Wishes
from iin_cli.training import saving
from iin_cli.training.runs import RunChoice

SLOW_SECONDS = 5.0
WRONG = (None, True, -1, 0, 1, 3, 2.5, 10**6, 10**30, "x", "", [], [[]], {}, {"a": 1}, math.inf, math.nan, "x" * 10**7)
DTYPES = (torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.uint8, torch.complex64)
Change = Callable[[Path, np.random.Generator], None]


@dataclass(frozen=True)
class Subject:
    """A kind of file: the folder of a good one, which files are changed, and what its reader makes of a copy."""

    folder: Path
    files: tuple[str, ...]
    result: Callable[[Path], str]


@dataclass(frozen=True)
class Outcome:
    """What became of one mutant."""

    kind: str
    change: str
    signed: bool
    verdict: str
    detail: str


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mutants", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--kinds", nargs="+", help="only these kinds of file: backbone, translator, latents, cache, state, stylizer"
    )
    parser.add_argument("--work", type=Path, default=Path("runs/trust"))
    options = parser.parse_args()
    began = time.monotonic()
    work = options.work.resolve()
    shutil.rmtree(work, ignore_errors=True)
    os.environ["IIN_CACHE"] = str(work / "cache")
    subjects = {name: subject for name, subject in made(work).items() if name in (options.kinds or [name])}
    outcomes = []
    for number in range(options.mutants):
        outcomes.append(tried(work, subjects, number, options.seed))
        if number % 500 == 499:
            print(f"{number + 1} mutants, {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    show(outcomes)
    print(f"\nSeed {options.seed}, {machine(time.monotonic() - began)}.")


def made(work: Path) -> dict[str, Subject]:
    """Make one good file of each kind."""
    torch.set_num_threads(1)
    backbone, translator, z = work / "backbone", work / "translator", work / "latents" / "z.safetensors"
    data = DataChoice("digits", n=64)
    train_backbone(
        BackboneChoice("autoencoder", image_size=32, latent_dim=8, steps=2),
        DataChoice("digits"),
        RunChoice(backbone, 0),
    )
    z.parent.mkdir(parents=True)
    encode(str(backbone), data, z)
    wishes = Wishes(steps=6, blocks=2, hidden=16)
    fit_translator(z, (), None, wishes, RunChoice(translator, 0))
    fit_translator(NetworkChoice(str(backbone)), ("digit",), data, wishes, RunChoice(work / "of-network", 0))
    interrupted(z, wishes, work / "state")
    (work / "stylizer").mkdir()
    facts = {"encoder": {"source": "random", "width": 4}, "style": {"name": "a,b", "sha256": "0"}}
    save_stylizer(work / "stylizer" / "stylizer.safetensors", Stylizer(4, 4, 32), facts)
    cached = sorted((work / "cache").rglob("mean.npy"))[0].parent
    names = tuple(sorted(file.name for file in cached.iterdir()))
    shutil.copytree(cached, work / "entry")
    opened = work / "of-network" / "translator.safetensors"

    def of_cache(copy: Path) -> str:
        shutil.rmtree(cached, ignore_errors=True)
        shutil.copytree(copy, cached)
        (copy / "out").mkdir()
        encode(str(backbone), data, copy / "out" / "z.safetensors")
        return digest_of_file(copy / "out" / "z.safetensors")

    return {
        "backbone": Subject(backbone, ("backbone.safetensors",), of_backbone),
        "translator": Subject(work / "of-network", ("translator.safetensors",), of_translator),
        "latents": Subject(z.parent, ("z.safetensors",), lambda copy: of_latents(copy, opened)),
        "cache": Subject(work / "entry", names, of_cache),
        "state": Subject(
            work / "state", ("training-state.safetensors", "plan.json"), lambda copy: of_state(copy, z, wishes)
        ),
        "stylizer": Subject(work / "stylizer", ("stylizer.safetensors",), of_stylizer),
    }


def interrupted(z: Path, wishes: Wishes, folder: Path) -> None:
    """Leave the state of a fit that was interrupted half-way."""
    save, kept = saving.Saving.save, (saving.FIRST_SAVE_SECONDS, saving.SAVE_SHARE)
    saving.FIRST_SAVE_SECONDS, saving.SAVE_SHARE = 0.0, math.inf

    def stopping(self: saving.Saving, state: Callable[[], dict[str, Any]]) -> None:
        save(self, state)
        if state()["loop"]["steps"] == wishes.steps // 2:
            raise KeyboardInterrupt

    saving.Saving.save = stopping
    try:
        fit_translator(z, (), None, wishes, RunChoice(folder, 0))
    except KeyboardInterrupt:
        pass
    finally:
        saving.Saving.save, (saving.FIRST_SAVE_SECONDS, saving.SAVE_SHARE) = save, kept


def of_backbone(copy: Path) -> str:
    network = open_network(copy)
    images = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    z = network.backbone.encode(images)
    return digest_of_tensors({"z": z, "x": network.backbone.decode(z)})


def of_translator(copy: Path) -> str:
    opened = open_translator(copy)
    z = torch.randn(4, 8, generator=torch.Generator().manual_seed(0))
    found = {"z~": opened.transform(z), "z": opened.inverse_transform(z)}
    return digest_of_tensors(found) + json.dumps(opened.factors.as_json())


def of_latents(copy: Path, translator: Path) -> str:
    translate(translator, copy / "z.safetensors", copy / "out.safetensors")
    return digest_of_file(copy / "out.safetensors")


def of_state(copy: Path, z: Path, wishes: Wishes) -> str:
    fit_translator(z, (), None, wishes, RunChoice(copy, None, resume=True))
    return digest_of_file(copy / "translator.safetensors")


def of_stylizer(copy: Path) -> str:
    stylizer = open_stylizer(copy, "cpu").stylizer
    images = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        return digest_of_tensors({"x": stylizer.transfer(images, stylizer.encoder(images), stylizer.style(images))})


def tried(work: Path, subjects: dict[str, Subject], number: int, seed: int) -> Outcome:
    """Change one thing in a copy of one file, and read it."""
    generator = np.random.default_rng([seed, number])
    kind = [*subjects][number % len(subjects)]
    subject, copy = subjects[kind], work / "copy"
    good = expected(kind, subject, work)
    fresh(subject, copy)
    file = copy / subject.files[int(generator.integers(len(subject.files)))]
    choices = CHANGES if file.suffix == ".safetensors" else JSON_CHANGES if file.suffix == ".json" else BYTE_CHANGES
    change = [*choices][int(generator.integers(len(choices)))]
    before = file.read_bytes()
    choices[change](file, generator)
    signed = change.startswith("re-signed")
    if file.exists() and file.read_bytes() == before:
        return Outcome(kind, change, signed, "unchanged", "")
    verdict, detail = judged(subject, copy, good, signed)
    if verdict == "exit 2" and file.name == "plan.json" and "repeat the command as it was" in detail:
        verdict = "exit 2, another plan"
    return Outcome(kind, change, signed, verdict, f"mutant {number}, {file.name}: {detail}")


def judged(subject: Subject, copy: Path, good: str, signed: bool) -> tuple[str, str]:
    # Of the processor: other programs of the machine are not the mutant's fault.
    started = time.process_time()
    try:
        same = subject.result(copy) == good
        verdict, detail = "same result" if same else "another file" if signed else "CHANGED", ""
    except IinError as error:
        detail = str(error)
        verdict = f"exit {error.exit_code}" if len(detail) < 2000 else "LONG MESSAGE"
    except Exception as error:
        verdict, detail = "exit 1", f"{type(error).__name__}: {str(error)[:300]}"
    seconds = time.process_time() - started
    return ("SLOW", f"{seconds:.1f} s, {verdict}") if seconds > SLOW_SECONDS else (verdict, detail)


_expected: dict[str, str] = {}


def expected(kind: str, subject: Subject, work: Path) -> str:
    if kind not in _expected:
        fresh(subject, work / "copy")
        _expected[kind] = subject.result(work / "copy")
    return _expected[kind]


def fresh(subject: Subject, copy: Path) -> None:
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(subject.folder, copy)


def flip_data(file: Path, generator: np.random.Generator) -> None:
    content = bytearray(file.read_bytes())
    start = 8 + int.from_bytes(content[:8], "little") if file.suffix == ".safetensors" else 0
    content[int(generator.integers(start, len(content)))] ^= 1 << int(generator.integers(8))
    file.write_bytes(content)


def flip_header(file: Path, generator: np.random.Generator) -> None:
    content = bytearray(file.read_bytes())
    length = 8 + int.from_bytes(content[:8], "little") if file.suffix == ".safetensors" else min(128, len(content))
    content[int(generator.integers(length))] ^= 1 << int(generator.integers(8))
    file.write_bytes(content)


def cut(file: Path, generator: np.random.Generator) -> None:
    content = file.read_bytes()
    file.write_bytes(content[: int(generator.integers(len(content)))])


def blank(file: Path, generator: np.random.Generator) -> None:
    content = bytearray(file.read_bytes())
    start = int(generator.integers(len(content)))
    stop = min(len(content), start + 4096)
    content[start:stop] = bytes(stop - start)
    file.write_bytes(content)


def lengthen(file: Path, generator: np.random.Generator) -> None:
    file.write_bytes(file.read_bytes() + bytes(int(generator.integers(1, 100))))


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if path:
        yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from places(inner, (*path, key))


def edited(value: Any, generator: np.random.Generator) -> Any:
    """Change one value in JSON values, remove it, or add another beside it."""
    found = [*places(value)]
    # Short paths as often as long ones: a state's tree has hundreds of leaves.
    depth = int(generator.choice(sorted({len(path) for path in found})))
    path = [each for each in found if len(each) == depth][int(generator.integers(sum(len(p) == depth for p in found)))]
    place = value
    for key in path[:-1]:
        place = place[key]
    way = generator.random()
    if way < 0.1:
        del place[path[-1]]
    elif way < 0.15 and isinstance(place, dict):
        place["more"] = place[path[-1]]
    else:
        place[path[-1]] = WRONG[int(generator.integers(len(WRONG)))]
    return value


def edit_unsigned(file: Path, generator: np.random.Generator) -> None:
    metadata = edited(json.loads(read_metadata(file)["iin"]), generator)
    save_file(load_file(file), file, {"iin": json.dumps(metadata)})


def nest(file: Path, generator: np.random.Generator) -> None:
    text = read_metadata(file)["iin"]
    deep = "[" * 10 ** int(generator.integers(2, 6))
    save_file(load_file(file), file, {"iin": text[:-1] + ', "more": ' + deep + "]" * len(deep) + "}"})


def edit_signed(file: Path, generator: np.random.Generator) -> None:
    metadata = json.loads(read_metadata(file)["iin"])
    del metadata["digest"]
    checkpoint.save(file, load_file(file), edited(metadata, generator))


def tensor_signed(file: Path, generator: np.random.Generator) -> None:
    metadata, tensors = json.loads(read_metadata(file)["iin"]), load_file(file)
    name = [*tensors][int(generator.integers(len(tensors)))]
    tensor = tensors[name]
    way = int(generator.integers(6))
    if way == 0:
        tensors[name] = tensor.to(DTYPES[int(generator.integers(len(DTYPES)))])
    elif way == 1:
        tensors[name] = tensor.flatten()[:-1].clone()
    elif way == 2:
        tensors[name] = tensor[None].clone()
    elif way == 3 and tensor.is_floating_point():
        tensors[name] = torch.full_like(tensor, float(generator.choice([math.nan, math.inf, 0.0])))
    elif way == 4:
        del tensors[name]
    else:
        tensors["more"] = tensor.clone()
    checkpoint.save(file, tensors, metadata)


def edit_json(file: Path, generator: np.random.Generator) -> None:
    file.write_text(json.dumps(edited(json.loads(file.read_text()), generator)))


def replace_json(file: Path, generator: np.random.Generator) -> None:
    texts = ("", "[]", "null", "{}", "1", "[" * 10**5, '{"seed": Infinity}', "\0" * 100)
    file.write_text(texts[int(generator.integers(len(texts)))])


def remove(file: Path, generator: np.random.Generator) -> None:
    file.unlink()


BYTE_CHANGES: dict[str, Change] = {
    "bit of data": flip_data,
    "bit of the header": flip_header,
    "cut": cut,
    "4 KiB of zeros": blank,
    "longer": lengthen,
}
CHANGES: dict[str, Change] = {
    **BYTE_CHANGES,
    "metadata": edit_unsigned,
    "nesting": nest,
    "re-signed metadata": edit_signed,
    "re-signed tensor": tensor_signed,
}
JSON_CHANGES: dict[str, Change] = {"bit of data": flip_data, "cut": cut, "metadata": edit_json, "another": replace_json}


def show(outcomes: list[Outcome]) -> None:
    """Print a table by kind and one by change, then the mutants that were not dealt with."""
    verdicts = sorted({outcome.verdict for outcome in outcomes})
    for title, key in (("kind", lambda each: each.kind), ("change", lambda each: each.change)):
        print(f"\n| {title} | {' | '.join(verdicts)} |\n|---|{'--:|' * len(verdicts)}")
        for name in sorted({key(outcome) for outcome in outcomes}):
            counted = Counter(outcome.verdict for outcome in outcomes if key(outcome) == name)
            print(f"| {name} | {' | '.join(str(counted[verdict]) for verdict in verdicts)} |")
    fine = {"exit 3", "exit 4", "same result", "another file", "unchanged", "exit 2, another plan"}
    wrong = [outcome for outcome in outcomes if outcome.verdict not in fine]
    print(f"\n{len(wrong)} of {len(outcomes)} mutants were neither refused with 3 or 4 nor read to the same result")
    for outcome in wrong[:40]:
        print(f"- {outcome.verdict}: {outcome.kind}, {outcome.change}, {outcome.detail[:300]}")


if __name__ == "__main__":
    main()
