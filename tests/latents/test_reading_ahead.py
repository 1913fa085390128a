"""Reading ahead: in order, no more than asked for, as fast as the slower of reading and computing."""

import threading
import time

import pytest

from iin_cli.latents.reading_ahead import AHEAD, read_ahead


def test_reading_and_computing_take_the_time_of_the_slower():
    began = time.monotonic()
    for _ in read_ahead(lambda part: time.sleep(0.05), range(20)):
        time.sleep(0.05)
    assert time.monotonic() - began < 0.75 * 20 * 0.1


def test_no_more_is_read_than_a_few_parts_ahead():
    read = []
    parts = read_ahead(lambda part: read.append(part) or part, range(100))
    assert [next(parts) for _ in range(3)] == [0, 1, 2]
    time.sleep(0.05)
    assert len(read) <= 3 + AHEAD
    parts.close()
    time.sleep(0.05)
    assert len(read) <= 3 + AHEAD


def test_one_part_after_the_other_is_read():
    inside = threading.Lock()

    def read(part):
        assert inside.acquire(blocking=False)
        time.sleep(0.002)
        inside.release()
        return part

    assert list(read_ahead(read, range(20))) == list(range(20))


def test_a_failure_is_raised_in_its_place():
    def read(part):
        if part == 2:
            raise ValueError("broken")
        return part

    parts = read_ahead(read, range(5))
    assert [next(parts), next(parts)] == [0, 1]
    with pytest.raises(ValueError, match="broken"):
        next(parts)
