"""The choice of a precision: what is asked, what is measured once, what is refused."""

import pytest
import torch

from iin_cli.acceleration import choosing
from iin_cli.acceleration.agreement import Agreement
from iin_cli.acceleration.choosing import LEAST_PIXELS, check_wanted, choose_precision
from iin_cli.errors import UsageError

pytestmark = pytest.mark.usefixtures("cache")

CPU = torch.device("cpu")


class Large:
    name = "large"


@pytest.fixture
def machine(monkeypatch):
    """A machine with fast bfloat16, and what is measured there; counts the measurements."""

    class Machine:
        found, asked, fast = Agreement(images=64), 0, True

        def measure(self, backbone, images):
            self.asked += 1
            return self.found

    made = Machine()
    monkeypatch.setattr(choosing, "measure_agreement", made.measure)
    monkeypatch.setattr(choosing, "bfloat16_is_fast", lambda device: made.fast)
    return made


def choose(wanted, heard, data="photos", pixels=LEAST_PIXELS):
    return choose_precision(Large, wanted, lambda: torch.zeros(1), {"data": data}, pixels, CPU, heard)


def test_float32_and_few_images_are_never_measured(machine, heard):
    assert choose("float32", heard) == choose("auto", heard, pixels=LEAST_PIXELS - 1) == "float32"
    machine.fast = False
    assert choose("auto", heard) == "float32"
    assert (machine.asked, heard.notes, heard.warnings) == (0, [], [])


@pytest.mark.parametrize(
    ("found", "chosen"),
    [
        (Agreement(latent_error=0.009, classes=1.0), "bfloat16"),
        (Agreement(latent_error=0.011, classes=1.0), "float32"),
        (Agreement(classes=0.998), "float32"),
        (Agreement(image_error=1.0), "float32"),
        (Agreement(failure="no kernel"), "float32"),
    ],
)
def test_auto_takes_bfloat16_where_answers_stay_and_says_so(machine, heard, found, chosen):
    machine.found = found
    assert choose("auto", heard) == chosen
    assert heard.notes == [f"latents of large in {chosen}: {found}"]


def test_what_was_measured_is_remembered_of_the_same_network_and_data(machine, heard, cache):
    machine.found = Agreement(latent_error=0.5, classes=0.9)
    assert [choose("auto", heard) for _ in range(3)] == ["float32"] * 3
    assert machine.asked == 1
    choose("auto", heard, data="others")
    assert machine.asked == 2
    for file in (cache / "precision").iterdir():
        file.write_text("{damaged")
    choose("auto", heard)
    assert machine.asked == 3


def test_who_asks_for_bfloat16_gets_it_with_a_warning_of_what_it_changes(machine, heard):
    assert choose("bfloat16", heard) == "bfloat16"
    assert (len(heard.notes), heard.warnings) == (1, [])
    machine.found = Agreement(latent_error=0.5, classes=0.9, images=64)
    assert choose("bfloat16", heard, data="others") == "bfloat16"
    assert "keeps the class of 90.0% of images" in heard.warnings[0]


def test_what_cannot_be_had_is_refused(machine, heard):
    machine.found = Agreement(failure="RuntimeError: no kernel")
    with pytest.raises(UsageError, match=r"large cannot be used so, it fails in bfloat16 \(RuntimeError: no kernel\)"):
        choose("bfloat16", heard)
    machine.fast = False
    with pytest.raises(UsageError, match="no instructions for bfloat16"):
        check_wanted("bfloat16", CPU)
    with pytest.raises(UsageError, match="bfloat16"):
        check_wanted("bfloat", CPU)
    assert check_wanted("auto", CPU) == "auto"
