"""What a sampling would do is what it does: as many files, and into which folder."""

import pytest

from iin_cli.commands.edit.sample import sample
from iin_cli.commands.edit.sample_plan import plan_sample
from iin_cli.editing.sampling import Sampling
from iin_cli.errors import UsageError


@pytest.mark.parametrize("kind", ["png", "webp", "npz", "safetensors"])
def test_as_many_files_are_told_as_are_written(files, tmp_path, kind):
    sampling, out = Sampling(format=kind), tmp_path / "out"
    plan = plan_sample(files.of_images, range(257), out, sampling)
    assert not plan.resumes
    sample(files.of_images, range(257), out, sampling)
    assert plan.files == len(list(out.glob(f"*.{kind}")))
    assert plan_sample(files.of_images, range(257), out, sampling).resumes


def test_a_folder_of_other_things_is_refused_as_the_sampling_refuses_it(files, tmp_path):
    (tmp_path / "mine.txt").write_text("")
    for run in (plan_sample, sample):
        with pytest.raises(UsageError, match="is not empty and holds no samples"):
            run(files.of_images, [1], tmp_path, Sampling())
