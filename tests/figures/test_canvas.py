"""What figures are drawn on."""

import pytest

from iin_cli.figures.canvas import letters, new_figure


@pytest.mark.parametrize("letter", "éßłřışσΩцאع→×²…")
def test_names_in_many_alphabets_can_be_written(letter):
    font = letters(20)
    assert bytes(font.getmask(letter)) != bytes(font.getmask("\uffff"))


def test_a_page_is_as_large_as_asked_and_needs_no_display():
    figure = new_figure(3, 2, dpi=50)
    figure.canvas.draw()
    assert figure.canvas.get_width_height() == (150, 100)
