"""States that no training saved are refused before an optimiser takes them."""

import copy

import pytest
import torch

from iin_cli.training.soundness import require_finite, require_same_optimizers


def state():
    layer = torch.nn.Linear(2, 2)
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.1, betas=(0.9, 0.99))
    layer(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    # As a state comes back from its file: tuples are lists.
    saved = optimizer.state_dict()
    saved["param_groups"] = [{**group, "betas": list(group["betas"])} for group in saved["param_groups"]]
    return {"recipe": {"optimizer": saved, "steps": 3}, "weights": layer.state_dict()}


def test_a_saved_state_is_the_state():
    require_finite(state())
    changed = state()
    changed["recipe"]["optimizer"]["param_groups"][0] |= {"lr": 0.01, "of another version": True}
    require_same_optimizers(changed, state())


@pytest.mark.parametrize(
    ("key", "value"), [("params", [0, 0]), ("params", [0]), ("betas", [0.9, 0.9]), ("weight_decay", None)]
)
def test_an_optimiser_of_other_weights_or_settings_is_refused(key, value):
    changed = state()
    changed["recipe"]["optimizer"]["param_groups"][0][key] = value
    with pytest.raises(ValueError, match=f"its optimizer has {key}"):
        require_same_optimizers(changed, state())


def test_an_optimiser_with_another_number_of_groups_is_refused():
    changed = state()
    changed["recipe"]["optimizer"]["param_groups"] *= 2
    with pytest.raises(ValueError, match="another number"):
        require_same_optimizers(changed, state())


def test_moments_that_are_not_finite_are_refused():
    changed = copy.deepcopy(state())
    changed["recipe"]["optimizer"]["state"][0]["exp_avg"][0, 0] = torch.nan
    with pytest.raises(ValueError, match="not finite"):
        require_finite(changed)
