"""The weights of the method price_list: exact non-negative least squares, worked by hand, and what is said where the list is not enough."""

from __future__ import annotations

import random
from fractions import Fraction
from pathlib import Path

import pytest
import yaml

from pipelines.errors import UsageError
from pipelines.policy import load_policy
from pipelines.price_list import PriceListEntry, Weight, non_negative_least_squares, regress
from pipelines.settings import DEFAULT_POLICY


def entry(name: str, model: str | None, gpus: int, vcpus: str, memory: str, price: str) -> PriceListEntry:
    return PriceListEntry.model_validate(
        {"name": name, "gpu_model": model, "gpus": gpus, "vcpus": vcpus, "memory_gib": memory, "hourly_price": price}
    )


# Made with 3 $ a A100, 5.5 $ an H100, 0.04 $ a vCPU, 0.005 $ a GiB: 8 x 3 + 96 x 0.04 + 1152 x 0.005 = 24 + 3.84 + 5.76 = 33.60;
# 1 x 3 + 12 x 0.04 + 85 x 0.005 = 3.905; 8 x 5.5 + 192 x 0.04 + 2048 x 0.005 = 44 + 7.68 + 10.24 = 61.92; 0.16 + 0.08; 0.16 + 0.04.
PRICED = [
    entry("p4d", "NVIDIA A100-SXM4-40GB", 8, "96", "1152", "33.60"),
    entry("a2", "nvidia a100 sxm4 40gb", 1, "12", "85", "3.905"),
    entry("p5", "H100", 8, "192", "2048", "61.92"),
    entry("m5", None, 0, "4", "16", "0.24"),
    entry("c5", None, 0, "4", "8", "0.20"),
]


def test_prices_made_from_weights_give_the_weights_back() -> None:
    assert regress(PRICED) == [
        Weight("gpu", "h100", 5_500_000, False),
        Weight("gpu", "nvidia a100 sxm4 40gb", 3_000_000, False),
        Weight("vcpu", None, 40_000, False),
        Weight("memory_gib", None, 5_000, False),
    ]


def test_the_order_of_the_list_changes_nothing() -> None:
    shuffled = list(PRICED) + [entry("odd", "H100", 1, "7", "31", "6.1234567")]
    expected = regress(shuffled)
    for seed in range(5):
        random.Random(seed).shuffle(shuffled)
        assert regress(shuffled) == expected


def test_a_negative_weight_is_fitted_anew_without_it_and_not_clamped() -> None:
    # 1 vCPU + 1 GiB = $1, 1 vCPU + 2 GiB = $0.5: least squares alone says vCPU 1.5, GiB -0.5. Without GiB the best vCPU is
    # (1 x 1 + 1 x 0.5) / (1 + 1) = 0.75; clamping GiB would have left vCPU at 1.5.
    weights = regress([entry("a", None, 0, "1", "1", "1"), entry("b", None, 0, "1", "2", "0.5")])
    assert weights == [Weight("vcpu", None, 750_000, False), Weight("memory_gib", None, 0, True)]


def test_weights_are_rounded_once_to_whole_micro_dollars() -> None:
    # Three prices 1, 1 and 0 of one vCPU each: their mean, 2/3 = 0.666667; the GiB is told apart by the last: 1 - 2/3 = 1/3.
    entries = [entry("a", None, 0, "1", "0", "1"), entry("b", None, 0, "1", "0", "1"), entry("c", None, 0, "1", "0", "0.000001")]
    weights = regress([*entries, entry("d", None, 0, "1", "1", "1")])
    # mean of 1, 1, 0.000001 = 0.666667 (2.000001 / 3 = 0.666667 exactly); 1 - 0.666667 = 0.333333
    assert [w.micro_usd for w in weights] == [666_667, 333_333]


def test_the_solution_meets_the_conditions_that_make_it_the_only_one() -> None:
    # Karush, Kuhn, Tucker: x >= 0; the slope A'(b - Ax) is 0 where x > 0 and not positive where x = 0.
    for seed in range(40):
        numbers = random.Random(seed)
        rows = [[Fraction(numbers.randint(0, 9)) for _ in range(4)] for _ in range(7)]
        rows += [[Fraction(int(i == j)) for j in range(4)] for i in range(4)]
        prices = [Fraction(numbers.randint(-9, 9)) for _ in rows]
        x = non_negative_least_squares(rows, prices)
        rest = [p - sum(a * b for a, b in zip(row, x, strict=True)) for row, p in zip(rows, prices, strict=True)]
        slopes = [sum(row[j] * r for row, r in zip(rows, rest, strict=True)) for j in range(4)]
        assert all(v >= 0 for v in x)
        assert all(slope == 0 if v > 0 else slope <= 0 for v, slope in zip(x, slopes, strict=True)), seed


@pytest.mark.parametrize(
    ("entries", "told"),
    [
        (PRICED[:1], "1 entries for 3 unknowns (GPU nvidia a100 sxm4 40gb, vCPU, GiB of memory): add at least 2 more"),
        (
            # memory is 4 GiB a vCPU everywhere
            [PRICED[3], entry("m6", None, 0, "8", "32", "0.5"), entry("m7", None, 0, "2", "8", "0.1")],
            "GiB of memory cannot be told apart from vCPU",
        ),
        (
            # 12 vCPUs and 85 GiB a GPU, plus one free machine: GPU and host always come together
            [entry(f"a2-{n}", "A100", n, str(12 * n), str(85 * n), "1") for n in (1, 2, 4)],
            "vCPU cannot be told apart from GPU a100",
        ),
        ([entry("a", None, 0, "1", "0", "1"), entry("b", None, 0, "2", "0", "2")], "no entry has any GiB of memory"),
    ],
)
def test_a_list_that_does_not_determine_every_weight_is_refused(entries: list[PriceListEntry], told: str) -> None:
    with pytest.raises(ValueError) as refused:
        regress(entries)
    assert told in str(refused.value)


def policy_with(tmp_path: Path, **changes: object) -> Path:
    document = yaml.safe_load(DEFAULT_POLICY.read_text(encoding="utf-8"))
    for name, value in changes.items():
        if name == "attribution":
            document["attribution"].update(value)  # type: ignore[call-overload]
        else:
            document[name] = value
    path = tmp_path / "policy.yml"
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    return path


LIST = [
    {"name": "p4d", "gpu_model": "A100", "gpus": 8, "vcpus": 96, "memory_gib": 1152, "hourly_price": "33.60"},
    {"name": "m5", "vcpus": 4, "memory_gib": 16, "hourly_price": "0.24"},
    {"name": "c5", "vcpus": 4, "memory_gib": 8, "hourly_price": "0.20"},
]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"attribution": {"gpu_split_method": "price_list"}}, "needs entries under `price_list`"),
        ({"node_split": [{"pool": "a100", "method": "price_list"}]}, "needs entries under `price_list`"),
        ({"price_list": LIST[:2]}, "2 entries for 3 unknowns (GPU a100, vCPU, GiB of memory): add at least 1 more"),
        ({"price_list": [{**LIST[0], "gpu_model": None}, *LIST[1:]]}, "p4d: gpus and gpu_model go together"),
        ({"price_list": [{**LIST[0], "hourly_price": 0}, *LIST[1:]]}, "hourly_price"),
    ],
)
def test_a_policy_whose_price_list_cannot_be_used_is_a_usage_error(tmp_path: Path, changes: dict[str, object], told: str) -> None:
    with pytest.raises(UsageError) as refused:
        load_policy(policy_with(tmp_path, **changes))
    assert told in str(refused.value) and "docs/policy.md" in str(refused.value)


def test_the_weights_become_a_relation(tmp_path: Path) -> None:
    import duckdb

    policy = load_policy(policy_with(tmp_path, price_list=LIST, node_split=[{"pool": "a100", "method": "price_list"}]))
    with duckdb.connect() as connection:
        policy.write(connection)
        found = connection.execute("select resource, gpu_model, weight, is_zeroed from policy.price_list_weights order by all").fetchall()
        load_policy(DEFAULT_POLICY).write(connection)
        empty = connection.execute("select count(*) from policy.price_list_weights").fetchone()
    # 0.24 - 0.20 = 8 GiB: 0.005 each; (0.20 - 8 x 0.005) / 4 = 0.04; (33.60 - 96 x 0.04 - 1152 x 0.005) / 8 = 3
    assert found == [
        ("gpu", "a100", 3_000_000, False),
        ("memory_gib", None, 5_000, False),
        ("vcpu", None, 40_000, False),
    ]
    assert empty == (0,)
