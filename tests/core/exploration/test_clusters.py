from __future__ import annotations

import numpy as np

from core.exploration.clusters import NOISE, UNNAMED, cluster, cluster_names, terms


def test_two_heaps_are_two_clusters_largest_first():
    generator = np.random.default_rng(0)
    layout = np.concatenate([generator.normal(0, 0.1, (30, 2)), generator.normal(5, 0.1, (50, 2))])
    labels = cluster(layout, smallest=10)
    assert set(labels[30:].tolist()) == {0}
    assert set(labels[:30].tolist()) == {1}


def test_too_few_points_are_not_clustered():
    assert cluster(np.zeros((6, 2))).tolist() == [NOISE] * 6


def test_names_are_the_terms_that_set_a_cluster_apart():
    texts = ["the bread and the oven", "bread from an oven", "the violin and the bow", "violin with a bow", "nothing"]
    names = cluster_names(np.array([0, 0, 1, 1, NOISE]), texts)
    assert names == {NOISE: UNNAMED, 0: "1: bread · oven", 1: "2: bow · violin"}


def test_chinese_is_read_in_pairs_of_characters():
    assert terms("面包变硬 bread it") == ["面包", "包变", "变硬", "bread"]
    assert cluster_names(np.array([0, 0, 1, 1]), ["面包变硬", "面包柔软", "火车晚点", "火车站台"])[0].startswith("1: 面包")
