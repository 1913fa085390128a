"""Read and edit what a neural network knows: its latent z as named, independent factors z̃, and back.

>>> import numpy as np, torch
>>> import iin_cli as iin
>>> net = iin.Network(encode=lambda x: x.flatten(1), decode=lambda z: z[:, :3])
>>> digit = np.arange(300) % 3
>>> x = torch.nn.functional.one_hot(torch.from_numpy(digit), 6) + 0.1 * torch.randn(300, 6)
>>> t = iin.fit(iin.Pairs(net.encode(x)).share("digit", digit), network=net, seed=0, steps=20, blocks=2, hidden=16)
>>> t.factors.names
('digit', 'residual')
>>> t.swap(x[:1], x[1:2], "digit").count
1

Names are imported when they are used: `import iin_cli` loads neither torch nor anything else.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .api.fitting import fit, load
    from .api.interpretation import Interpretation
    from .editing.recipe import Along, Change, Recipe
    from .editing.walk_paths import GridWalk, LinearWalk
    from .errors import CheckpointError, DataError, DivergedError, IinError, PluginError, ResourceError, UsageError
    from .fitting.pairs import Pairs
    from .interpretation.network import Network
    from .interpretation.opening import open_network
    from .metrics.bootstrap import Interval, Resampling
    from .results import Result
    from .translator.edit import OUWalk
    from .translator.factors import Factor, Factors

__all__ = [
    "Along",
    "Change",
    "CheckpointError",
    "DataError",
    "DivergedError",
    "Factor",
    "Factors",
    "GridWalk",
    "IinError",
    "Interpretation",
    "Interval",
    "LinearWalk",
    "Network",
    "OUWalk",
    "Pairs",
    "PluginError",
    "Recipe",
    "Resampling",
    "ResourceError",
    "Result",
    "UsageError",
    "fit",
    "load",
    "open_network",
]

# Where each public name lives.
_HOMES = {
    **dict.fromkeys(("fit", "load"), "api.fitting"),
    "Interpretation": "api.interpretation",
    **dict.fromkeys(("Along", "Change", "Recipe"), "editing.recipe"),
    **dict.fromkeys(("GridWalk", "LinearWalk"), "editing.walk_paths"),
    **dict.fromkeys(
        ("CheckpointError", "DataError", "DivergedError", "IinError", "PluginError", "ResourceError", "UsageError"),
        "errors",
    ),
    "Pairs": "fitting.pairs",
    "Network": "interpretation.network",
    "open_network": "interpretation.opening",
    **dict.fromkeys(("Interval", "Resampling"), "metrics.bootstrap"),
    "Result": "results",
    "OUWalk": "translator.edit",
    **dict.fromkeys(("Factor", "Factors"), "translator.factors"),
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(import_module(f".{_HOMES[name]}", __name__), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
