"""What figures are drawn on."""

import html
import io

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


def test_names_are_no_mathematics():
    drawn = []
    for name in ("$0_$50", "$x$", "cost $5 to $6_^"):
        figure = new_figure(4, 3)
        panel = figure.subplots()
        panel.plot([0, 1], [0, 1], label=name)
        panel.set_title(name)
        panel.set_xlabel(name)
        panel.set_xticks([0, 1], [name, name])
        panel.text(0.5, 0.5, name)
        panel.annotate(name, (0, 0))
        figure.legend(loc="outside right upper")
        figure.suptitle(name)
        figure.canvas.draw()
        drawn.append(bytes(figure.canvas.buffer_rgba()))
        with io.BytesIO() as file:
            figure.savefig(file, format="svg")
            assert name in html.unescape(file.getvalue().decode())
    assert len(set(drawn)) == 3
