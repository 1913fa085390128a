"""What a backbone is trained on, step by step."""

import numpy as np
import torch

from iin_cli.data import open_dataset
from iin_cli.fitting.backbone_training import BackboneTraining


def test_epochs_meet_every_image_once_and_depend_on_the_seed_only(pictures):
    class Recipe:
        batch_size = 20

    class Backbone:
        interpolation = "bicubic"
        classes, image_size = ("a", "b", "c"), 32

    dataset = open_dataset(str(pictures))
    train = dataset.splits["train"]

    def work(seed=0):
        return BackboneTraining(Backbone(), Recipe(), dataset, seed, torch.device("cpu"))

    one = work()
    per_epoch = len(one.fit) // 20
    epoch = np.concatenate([one._batch(step) for step in range(per_epoch)])
    assert len(set(epoch)) == len(epoch) == 20 * per_epoch
    assert set(epoch) | set(one.rest) <= set(train)
    assert not set(one.fit) & set(one.rest)
    np.testing.assert_array_equal(work()._batch(per_epoch + 1), one._batch(per_epoch + 1))
    assert not np.array_equal(work(1)._batch(0), work()._batch(0))
    images, labels = one._load(one.fit[:4])
    assert images.shape == (4, 3, 32, 32)
    np.testing.assert_array_equal(labels, dataset.labels["class"].values[one.fit[:4]])
