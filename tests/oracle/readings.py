"""The numbers and the readings that the oracle goes by, and what it knows of one GPU.

Belongs here: constants of the contract, and what was chosen where the contract leaves two readings open or the models differ from it.
Does not: any computation.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from decimal import Decimal

from tests.oracle.plan import Gpu, Sample

DECLARED = """
- Activity is a whole number of millionths: per sample round(value), per holder and hour the mean over its slots, half up.
- The ladder of metrics is climbed per GPU, hour and holder; a slot cut by an interval's edge counts for the holder at its sample's second.
- Series of equal slot counts: the smaller digest of (source, exporter) wins.
- A labelled exporter beats an unlabelled one in the same slot (a second exporter changes nothing); then the later sample wins.
- Two intervals that name one GPU in one second: the one that started later has it.
- A fill stops at any second after the last sample at which an interval on that GPU ends or begins.
- An interval's label chooses, per day, the GPUs on which it was seen longest, up to its count, for the whole interval.
- A count that is less than the node's takes free GPUs in the order of their names; earlier intervals first.
- A node without validity times: billed seconds run from the first observed slot of the hour, moved back to fit into the hour.
- A day knows only the inventory rows that touch it, and its own labels: on a day that lacks the node an interval holds what it names and
  what its label chooses, but not by its count; a day on which its label is not seen takes it by its count alone.
- An hour in which nothing was observed or held, and one without a billed second, is `unknown` as one row without a route.
- Allocation rows are per attempt and reason; ties go by (workload, class, component, attempt, reason).
"""

HOUR, DAY = 3600, 86400
PPM = 1_000_000
SHARE = 7_207_200  # a whole GPU in parts; published seconds are weights over it
UNIT = Decimal("0.000000000001")
MAX_GAP_SECONDS = 120
IDLE_PPM = 10_000
RUNGS = (("sm_active", Decimal(1)), ("gr_engine_active", Decimal(1)), ("gpu_util", Decimal(100)))


@dataclass(frozen=True)
class Reading:
    """Where the models still differ from the contract, which of the two the oracle follows. The defaults are the contract's.

    labels_choose_without_count: whether an interval without a count keeps, for all its time, the GPUs on which its label was seen.
    passed_hours_are_priced: whether an hour without a charge counts as
    priced because that hour or a later one of that provider's day has one somewhere.
    """

    labels_choose_without_count: bool = False
    passed_hours_are_priced: bool = False


CONTRACT = Reading()
MODELS = Reading(passed_hours_are_priced=True)


@dataclass
class Unit:
    """One physical GPU of a node with what is known of it, second by second (index 0 = ``lo``)."""

    key: str
    gpu: Gpu | None
    slots: dict[int, list[Sample]] = field(default_factory=lambda: defaultdict(list))
    covered: list[bool] = field(default_factory=list)
    holder: list[tuple[str, str, str] | None] = field(default_factory=list)  # (workload, attempt, evidence)
    activity: dict[tuple[int, str], int | None] = field(default_factory=dict)
