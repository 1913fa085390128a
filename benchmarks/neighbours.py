"""Whether the real images that `explain` shows have the answer of what they stand for.

For test images and for edits of each factor: the share of the five nearest training images that the network gives the
same class, where the nearest are searched in z̃ (as up to 0.1), in plain z, and in the network's own metric (z and its
answers in equal parts). Goal: the last at least that of plain z. Prints a Markdown table.

    uv run python benchmarks/neighbours.py --translator runs/colormnist/fit [--data-root DIR] [--n 50] [--search 5000]
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import torch

from iin_cli.interpretation.data_choice import DataChoice
from iin_cli.interpretation.opening import open_translator
from iin_cli.interpretation.reading import ChosenData
from iin_cli.measures.explanation.library import LibraryChoice, Space
from iin_cli.metrics.neighbours import nearest_rows
from iin_cli.progress import Silent
from iin_cli.translator.edit import swap


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--translator", type=Path, required=True, help="of a classifier")
    parser.add_argument("--data-root", type=Path)
    parser.add_argument("--n", type=int, default=50, help="test images")
    parser.add_argument("--search", type=int, default=5000, help="training images searched")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    opened = open_translator(given.translator)
    data = ChosenData(opened, DataChoice(root=given.data_root, seed=given.seed), Silent())
    network, library = data.network, LibraryChoice(most=given.search).open(data)
    reading = data.read(2 * given.n)
    z_tilde, source = reading.z_tilde[: given.n], reading.z_tilde[given.n :]
    queries = {"as it is": reading.z[: given.n]}
    for name in opened.factors.names:
        queries[f"{name} of another"] = opened.inverse_transform(swap(z_tilde, source, opened.factors, [name]))
    everything = torch.from_numpy(np.asarray(library.z[:]))
    translated, said = opened.transform(everything), network.answers(everything).argmax(1)
    print(f"| | {' | '.join(('z-tilde, all translated', *get_args(Space)))} |\n|---|---|---|---|---|")
    for name, z in queries.items():
        own = network.answers(z).argmax(1)
        exact, _ = nearest_rows(opened.transform(z), translated, library.k)
        shares = [(said[exact] == own[:, None]).double().mean()]
        for space in get_args(Space):
            found = replace(library, space=space).nearest(z)
            shares.append((said[found.numbers] == own[:, None]).double().mean())
        print(f"| {name} | {' | '.join(f'{float(share):.3f}' for share in shares)} |", flush=True)


if __name__ == "__main__":
    main()
