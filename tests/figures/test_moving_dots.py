import numpy as np

from iin_cli.figures.embeddings import Plane, by_label
from iin_cli.figures.moving_dots import PICTURE_SIDE, Scene, draw_frame

POINTS = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
PLANE = Plane(POINTS, ("a", "b"))


def centre_of(mask):
    rows, columns = np.nonzero(mask)
    return np.array([columns.mean(), rows.mean()])


def test_pictures_lie_where_their_points_do():
    red = np.broadcast_to(np.array([255, 0, 0], np.uint8), (1, 1, 8, 8, 3))
    scene = Scene.of_pictures(PLANE, red)
    where = {}
    for name, point in (("corner", [0.0, 0.0]), ("right", [1.0, 0.0]), ("up", [0.0, 1.0])):
        page = draw_frame(scene, 0, np.array([point]), "")
        mask = (page == [255, 0, 0]).all(2)
        assert mask.sum() == PICTURE_SIDE**2
        where[name] = centre_of(mask)
    right, up = where["right"] - where["corner"], where["up"] - where["corner"]
    assert right[0] > 100
    assert abs(right[1]) < 1
    assert up[1] < -100
    assert abs(up[0]) < 1
    # The dot behind the picture lies in its middle.
    dots = (scene.background < 250).all(2)
    x, y = where["corner"].astype(int)
    assert dots[y - 3 : y + 4, x - 3 : x + 4].any()


def test_a_label_has_one_colour_in_all_frames():
    moving = np.array([[0, 1], [1, 1]])
    scene = Scene.of_labels(PLANE, np.array([0, 1, 2, 0]), moving)
    assert np.array_equal(scene.colors[0, 1], scene.colors[1, 0])
    assert np.array_equal(scene.colors[0], by_label("", np.array([0, 1])).colors)
    pages = [draw_frame(scene, number, POINTS[:2], "moves") for number in range(2)]
    assert (pages[0] != pages[1]).any()
    assert (draw_frame(scene, 0, POINTS[:2], "another") != pages[0]).any()
