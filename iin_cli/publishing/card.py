"""The card of a checkpoint on the Hub: what it is, what was measured of it, how to load it; Markdown for strangers."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from msgspec import Struct

from ..errors import UsageError

__all__ = ["Audited", "Card", "CardFile", "CardPicture", "NetworkUse", "check_license", "check_tag", "plain", "typed"]

TAGS = ("interpretability", "disentanglement", "invertible-neural-network", "iin")
# What the Hub's licences and tags are made of.
WORD = re.compile(r"[a-z0-9][a-z0-9.+-]{0,60}")
# Figures of an audit that a reader of a card asks for first, by the beginning of their names.
SHOWN = ("information.", "leakage.", "transfer.", "preservation.", "heldout_nll", "no_op_agreement")
PAPER = "https://arxiv.org/abs/2004.13166"
CITATION = """```bibtex
@inproceedings{esser2020disentangling,
  title={A Disentangling Invertible Interpretation Network for Explaining Latent Representations},
  author={Esser, Patrick and Rombach, Robin and Ommer, Bj{\\"o}rn},
  booktitle={Proceedings of the IEEE/CVF Conference on Computer Vision and Pattern Recognition},
  year={2020}
}
```"""


class Between(Struct):
    """A figure with its 95 % interval, null where it is not finite."""

    value: float | None = None
    low: float | None = None
    high: float | None = None

    def __str__(self) -> str:
        """Return it as a reader sees it."""
        inside = "" if self.low is None else f" [{_shown(self.low)}, {_shown(self.high)}]"
        return f"{_shown(self.value)}{inside}"


class Measured(Between):
    """A figure of an audit, and what it is by chance."""

    null: Between | None = None


class Judged(Struct):
    """The verdict on a factor."""

    factor: str
    verdict: str
    remove: str
    reasons: list[str]
    read: str | None = None
    compare: str | None = None
    change: str | None = None


class Audited(Struct):
    """What a card takes from `audit.json`."""

    n: int
    data: str
    seed: int
    factors: dict[str, int]
    verdicts: list[Judged] = []
    figures: dict[str, Measured] = {}
    complete: bool = True


@dataclass(frozen=True)
class CardFile:
    """A file of the repository."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True)
class CardPicture:
    """A picture of the repository: `command` makes it again, where there is one."""

    name: str
    caption: str
    command: str | None = None


@dataclass(frozen=True)
class NetworkUse:
    """How the network of a translator is had.

    Attributes:
        said: one sentence.
        shell: words that commands need besides; None where they cannot open the network.
        python: arguments that `iin.load` needs besides.
        package: what must be installed besides.
    """

    said: str
    shell: str | None = ""
    python: str = ""
    package: str | None = None


@dataclass(frozen=True)
class Card:
    """What a card says.

    Attributes:
        repository: `owner/name`.
        described: the metadata of the checkpoint, a translator or a backbone.
        network: how the translator's network is had; None for a backbone.
        license: an identifier of the Hub; None where the author gave none.
        audit: the audit of the translator; None where there is none.
    """

    repository: str
    described: Mapping[str, Any]
    files: Sequence[CardFile]
    network: NetworkUse | None = None
    license: str | None = None
    tags: Sequence[str] = ()
    audit: Audited | None = None
    pictures: Sequence[CardPicture] = ()

    def markdown(self) -> str:
        """Return the whole card, its header for the Hub first."""
        parts = [*self._header(), "", *self._opening()]
        for title, lines in (
            ("Factors", self._factors()),
            ("What the factors are usable for", self._verdicts()),
            ("Pictures", self._pictures()),
            ("Use it", self._use()),
            ("How it was made", self._made()),
            ("Files", self._files()),
            ("Cite", iter([CITATION])),
        ):
            body = list(lines)
            if body:
                parts += ["", f"## {title}", "", *body]
        return "\n".join(parts) + "\n"

    @property
    def _is_translator(self) -> bool:
        return self.described["kind"] == "translator"

    @property
    def _address(self) -> str:
        return f"hf:{self.repository}"

    @property
    def _data(self) -> str | None:
        """What the data are called; the path of a folder is nobody's business."""
        name = (self.described.get("data") or {}).get("name")
        return Path(name).name if name else None

    def _header(self) -> Iterator[str]:
        yield "---"
        if self.license is not None:
            yield f"license: {self.license}"
        # The name under which Python installs the library.
        yield "library_name: iin-cli"
        yield "tags:"
        yield from (f"- {tag}" for tag in dict.fromkeys((*TAGS, self.described["kind"], *self.tags)))
        yield "---"

    def _opening(self) -> Iterator[str]:
        yield f"# {plain(self.repository.partition('/')[2])}"
        yield ""
        factors, data = self.described.get("factors") or [], self._data
        of_data = f", fitted to {plain(data)}" if data else ""
        if not self._is_translator:
            yield (
                f"A network of the kind {plain(str(self.described.get('name')))}{of_data}, whose hidden representation "
                f"an invertible translator can be fitted to ([Esser, Rombach and Ommer, 2020]({PAPER}))."
            )
            return
        listed = ", ".join(f"**{plain(each['name'])}** ({each['dim']})" for each in factors)
        total = sum(each["dim"] for each in factors)
        yield (
            f"An invertible translator{of_data}: it reads the {total} numbers by which a network represents an image "
            f"as independent factors, {listed}, and writes them back. Read them, change one, and let the network go on "
            "from there. The network itself is not altered. The method is that of "
            f"[Esser, Rombach and Ommer, 2020]({PAPER})."
        )
        if self.network is not None:
            yield ""
            yield self.network.said

    def _factors(self) -> Iterator[str]:
        rows = [
            {"factor": each["name"], "dimensions": each["dim"], "σ": each.get("sigma"), "pairs": _pairs(each)}
            for each in self.described.get("factors") or []
        ]
        yield from _table(rows)

    def _verdicts(self) -> Iterator[str]:
        if not self._is_translator:
            return
        if self.audit is None:
            yield (
                "**Nobody has measured that here.** A factor's name says which pairs of images it was fitted to, not "
                f"that it holds the concept. `iin audit -t {self._address} --data DATA` measures it on your data."
            )
            return
        audit = self.audit
        yield (
            f"Measured by `iin audit` on {audit.n:,} images of {plain(Path(audit.data).name)} (seed {audit.seed}); in "
            "brackets the 95 % interval over images."
        )
        yield ""
        yield from _table([_verdict(each) for each in audit.verdicts])
        figures = [
            {"figure": name, "value": str(found), "by chance": found.null and found.null.value}
            for name, found in audit.figures.items()
            if name.startswith(SHOWN)
        ]
        if figures:
            yield ""
            yield from _table(figures)
        if not audit.complete:
            yield ""
            yield "The audit was interrupted: what it had not measured by then is missing here."

    def _pictures(self) -> Iterator[str]:
        for number, picture in enumerate(self.pictures):
            if number:
                yield ""
            yield f'<img src="{picture.name}" alt="{plain(picture.caption)}">'
            yield ""
            made = f" Made by `{picture.command}`." if picture.command else ""
            yield f"{plain(picture.caption)}{made}"

    def _use(self) -> Iterator[str]:
        address, names = self._address, [each["name"] for each in self.described.get("factors") or []]
        network = self.network or NetworkUse("")
        package = f" {network.package}" if network.package else ""
        yield "```sh"
        yield f'pip install "iin-cli[hub]"{package}'
        if not self._is_translator:
            yield f"iin fit-translator --backbone {address} --concept CONCEPT"
        elif network.shell is None:
            yield f"iin translate -t {address} --latents z.safetensors"
        else:
            yield f"iin info {address}"
            yield f"iin audit -t {address}{network.shell}"
            yield f"iin swap -t {address}{network.shell} --factor {typed(names[0])} --target a.png --source b.png"
        yield "```"
        yield ""
        yield "```python"
        yield "import iin_cli as iin"
        yield ""
        if self._is_translator:
            yield f'translator = iin.load("{address}"{network.python})'
            yield "z_tilde = translator.transform(z)        # (M, N) -> (M, N), the factors in the order of the table"
            yield "z = translator.inverse_transform(z_tilde)"
        else:
            yield f'network = iin.open_network("{address}")'
            yield "z = network.encode(images)               # (M, 3, S, S) in [-1, 1] -> (M, N)"
        yield "```"
        yield ""
        yield (
            "Only `.safetensors` and JSON are read. Each checkpoint holds a digest of itself, which is compared before "
            "anything is taken from it."
        )

    def _made(self) -> Iterator[str]:
        described = self.described
        data, training = described.get("data") or {}, described.get("training") or {}
        single = {key: value for key, value in training.items() if isinstance(value, (str, int, float))}
        facts: dict[str, Any] = {"data": self._data, "fingerprint of the data": data.get("fingerprint")}
        backbone = described.get("backbone") or {}
        facts |= {"network": backbone.get("name"), "layer": backbone.get("layer"), "its sha256": backbone.get("sha256")}
        facts |= {key.replace("_", " "): value for key, value in single.items()}
        facts |= {f"version of {name}": value for name, value in (described.get("versions") or {}).items()}
        rows = [{"what": name, "value": value} for name, value in facts.items() if value not in (None, "")]
        # A page may be folded, and these are for those who make it again.
        yield "<details><summary>Data, settings, figures of the training, versions</summary>"
        yield ""
        yield from _table(rows)
        yield ""
        yield "</details>"

    def _files(self) -> Iterator[str]:
        yield from _table(
            [{"file": each.name, "bytes": f"{each.size:,}", "sha256": each.sha256} for each in self.files]
        )


def check_license(name: str | None) -> str | None:
    """Return a licence's identifier as the Hub writes it; UsageError for anything else.

    >>> check_license("CC-BY-4.0")
    'cc-by-4.0'
    """
    return None if name is None else _word("--license", name, "mit, apache-2.0, cc-by-4.0, or other")


def check_tag(name: str) -> str:
    """Return a tag as the Hub writes it; UsageError for anything else."""
    return _word("--tag", name, "small letters, digits and dashes")


def _word(option: str, name: str, example: str) -> str:
    word = name.strip().lower()
    if WORD.fullmatch(word) is None:
        raise UsageError(f"{option} {name!r} cannot stand in a card's header: write {example}")
    return word


def plain(text: str) -> str:
    r"""Return text that Markdown shows as it is, on one line: names are data, never markup.

    >>> plain("a|b <i>*x*")
    'a\\|b &lt;i&gt;\\*x\\*'
    """
    one_line = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "”")
    return re.sub(r"([\\`*_\[\]|#~$])", r"\\\1", one_line)


def typed(name: str) -> str:
    """Return a factor's name as a shell reads it, on one line, which cannot end the block of code that it stands in."""
    return shlex.quote(" ".join(name.replace("`", "?").split()))


def _table(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    if not rows:
        return
    columns = list(rows[0])
    yield f"| {' | '.join(columns)} |"
    yield f"|{'---|' * len(columns)}"
    for row in rows:
        yield f"| {' | '.join(plain(_shown(row.get(column))) for column in columns)} |"


def _shown(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _pairs(factor: Mapping[str, Any]) -> str:
    relation = str(factor.get("relation", "share"))
    return {"share": "share it", "differ": "differ in it alone", "rest": "what is left"}.get(relation, relation)


def _verdict(found: Judged) -> dict[str, Any]:
    uses = {f"to {use}": getattr(found, use) or "" for use in ("read", "compare", "change", "remove")}
    return {"factor": found.factor, "verdict": found.verdict, **uses, "why": "; ".join(found.reasons)}
