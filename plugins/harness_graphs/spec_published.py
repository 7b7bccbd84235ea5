"""Published numbers of Deep Graph Infomax, and the suites that compute ours beside them. Imports nothing heavy."""

from __future__ import annotations

from harness import PublishedNumber, SuiteSpec

_TABLE = "Veličković et al. 2019, Deep Graph Infomax, table 2 (public split)"
_PUBLISHED: dict[str, dict[str, tuple[float, float | None]]] = {
    "raw": {"cora": (47.9, 0.4), "citeseer": (49.3, 0.2), "pubmed": (69.1, 0.3)},
    "random": {"cora": (69.3, 1.4), "citeseer": (61.9, 1.6), "pubmed": (69.6, 1.9)},
    "dgi": {"cora": (82.3, 0.6), "citeseer": (71.8, 0.7), "pubmed": (76.8, 0.6)},
    "supervised": {"cora": (81.5, None), "citeseer": (70.3, None), "pubmed": (79.0, None)},
}
_GCN = "a two-layer GCN with dropout and weight decay (Kipf and Welling 2017); ours is the compared encoder with a linear head"

PUBLISHED = [
    PublishedNumber(
        method=method,
        data=data,
        data_options={"row_normalise": True},
        evaluator="logistic",
        metric="accuracy",
        value=value,
        std=std,
        source=_TABLE,
        distance="near" if method == "supervised" else "same",
        note=_GCN if method == "supervised" else "",
    )
    for method, by_data in _PUBLISHED.items()
    for data, (value, std) in by_data.items()
]

SUITES = [
    SuiteSpec(
        name="dgi-cora",
        summary="Both recipes of Deep Graph Infomax, the supervised encoder and the reference rows on Cora, seeds 0 to 9.",
        path="harness_graphs:suites/dgi-cora.toml",
    ),
    SuiteSpec(
        name="dgi-planetoid",
        summary="Deep Graph Infomax on Cora, Citeseer and Pubmed, seeds 0 to 9.",
        path="harness_graphs:suites/dgi-planetoid.toml",
    ),
]
