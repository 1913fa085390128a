"""The contract of a plugin's backbone that is trained here, checked before the first step.

A training of hours must not end in a checkpoint that cannot be opened.
"""

from __future__ import annotations

import json
from typing import Any

from torch import nn

from ..interpretation.contract import breach_of
from ..plugin_api import Recipe

__all__ = ["breach_of_training"]


def breach_of_training(module: Any, recipe: Any) -> str | None:
    """Say how a backbone and its recipe break their contracts; None where they keep them.

    The backbone sees a first batch and is left as it was. Raises what the two raise.
    """
    if not isinstance(module, nn.Module):
        return f"for_training made a {type(module).__name__} instead of a torch module that is a Backbone"
    before, was_training = {name: value.clone() for name, value in module.state_dict().items()}, module.training
    try:
        wrong = breach_of(module)
    finally:
        # Some layers take their scale from the first batch they see.
        module.load_state_dict(before)
        module.train(was_training)
    return wrong or _unlike_recipe(recipe) or _cannot_be_opened(module)


def _unlike_recipe(recipe: Any) -> str | None:
    if not isinstance(recipe, Recipe):
        return f"recipe must give a Recipe, and gives a {type(recipe).__name__}"
    for name in ("batch_size", "steps"):
        value = getattr(recipe, name, None)
        if not isinstance(value, int) or value < 1:
            return f"its recipe's {name} is {value!r:.60}, and must be a whole number of at least 1"
    if recipe.keep not in ("best", "last"):
        return f"its recipe's keep is {recipe.keep!r:.60}, and must be best or last"
    return None


def _cannot_be_opened(module: Any) -> str | None:
    """Say why the checkpoint of `module` could not be opened again; None where it could."""
    try:
        config = json.loads(json.dumps(module.config))
    except (TypeError, ValueError) as error:
        return f"its config cannot be saved as JSON: {error}"
    own, again = (
        {name: tuple(value.shape) for name, value in each.state_dict().items()}
        for each in (module, type(module).from_config(config))
    )
    if own == again:
        return None
    odd = sorted(name for name in {**own, **again} if own.get(name) != again.get(name))[0]
    return f"from_config(config) makes another module: {odd} is {again.get(odd)}, not {own.get(odd)}"
