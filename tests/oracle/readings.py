"""The numbers and the readings that the oracle goes by, and what it knows of one GPU.

Belongs here: constants of the contract, and what was chosen where the contract leaves two readings open or the models differ from it.
Does not: any computation.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from decimal import Decimal

from tests.oracle.plan import Gpu, Interval, Sample

DECLARED = """
- Activity is a whole number of millionths: per sample round(value), per holder and hour the mean over its slots, half up.
- The ladder of metrics is climbed per GPU, hour and holder; a slot cut by an interval's edge counts for the holder at its sample's second.
- Series of equal slot counts: the smaller digest of (source, exporter) wins.
- A labelled exporter beats an unlabelled one in the same slot (a second exporter changes nothing); then the later sample wins.
- Two intervals that name one GPU in one second: the one that started later has it.
- A fill stops at any second after the last sample at which an interval on that GPU ends or begins, or its instance is there again.
- Across midnight a fill is judged by what the new day knows: intervals that touch it, and of those that are over the ones that name the GPU, whose
  label it bore in the lead-in, or whose count is all of the node. Stretches of the node that do not touch the day it does not know.
- An interval's label chooses, per day, the GPUs on which it was seen longest, up to its count, for the whole interval.
- A count that is less than the node's takes free GPUs in the order of their names; earlier intervals first.
- A node without validity times: billed seconds run from the first observed slot of the hour, moved back to fit into the hour.
- A day knows the intervals that touch it or the day before: a label whose interval begins on a later day is nobody's that is registered.
- A day knows only the inventory rows that touch it, and its own labels: on a day that lacks the node an interval holds what it names and
  what its label chooses, but not by its count; a day on which its label is not seen takes it by its count alone.
- An hour in which nothing was observed or held, and one without a billed second, is `unknown` as one row without a route.
- Allocation rows are per attempt, reason, sharing and whether unmeasured; ties go by (workload, class, component, attempt, reason, sharing,
  unmeasured).
- The lead-in of a day is the last block of sixty slots of the day before.
- The remainder of a GPU cut into instances is nobody's, whatever names or claims the GPU.
- Memory in use (no process) is read from the series that gives the activity, the latest value of each slot, for the holder at its second.
- Sharing and its flag, where nobody claims: `mig` for an instance and a remainder, the declared strategy for a declared unit, else `none`;
  not unmeasured. What a count alone takes is as free time is; where the count has a fraction it is unmeasured, and `fractional` in a unit
  that is not declared. A leftover is flagged as the time it stands in, beside counts as the most shared of them.
- A count's text with a fraction chooses by label as many GPUs as hold it: ceil(count); its share of each is count / ceil(count).
"""

HOUR, DAY = 3600, 86400
PPM = 1_000_000
WHOLE = 7_207_200  # parts of a physical GPU; published seconds are weights over it
UNIT = Decimal("0.000000000001")
MAX_GAP_SECONDS = 120
IDLE_PPM = 10_000
NO_PROCESS_KIB = 100 * 1024
RUNGS = (("sm_active", Decimal(1)), ("gr_engine_active", Decimal(1)), ("gpu_util", Decimal(100)))
EVIDENCE = ("interval", "label", "label_chosen", "whole_node")  # first match wins
LABELLED = frozenset({"label", "label_chosen", "whole_node"})


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


@dataclass(frozen=True)
class Claim:
    """Somebody's claim on a unit at a second; ``interval`` is None for a label that nobody registered."""

    evidence: str
    workload: str
    attempt: str
    interval: Interval | None


@dataclass(frozen=True)
class Holder:
    """Who holds how many parts of a unit, and by what evidence. ``flags``: (sharing, is_unmeasured) where they are not the hold's."""

    workload: str
    attempt: str
    evidence: str
    parts: int
    flags: tuple[str, bool] | None = None


@dataclass(frozen=True)
class Hold:
    """The state of a unit in a second: its holders (none: it is free), how it is shared."""

    holders: tuple[Holder, ...] = ()
    sharing: str = "none"
    is_unmeasured: bool = False

    @property
    def parts(self) -> int:
        """What the holders have together."""
        return sum(h.parts for h in self.holders)

    @property
    def attempts(self) -> tuple[str, ...]:
        """Whose activity a sample in this second tells; '' stands for nobody."""
        return tuple(h.attempt for h in self.holders) or ("",)


@dataclass
class Unit:
    """A physical GPU, or an instance of one, with what is known of it, second by second (index 0 = ``lo``).

    parts: of the GPU's WHOLE. live: whether it exists in that second; where it does not, nothing else of it counts.
    """

    key: str
    gpu: Gpu | None
    parts: int = WHOLE
    profile: str = ""
    slots: dict[int, list[Sample]] = field(default_factory=lambda: defaultdict(list))
    live: list[bool] = field(default_factory=list)
    covered: list[bool] = field(default_factory=list)
    holds: list[Hold] = field(default_factory=list)
    activity: dict[tuple[int, str], int | None] = field(default_factory=dict)  # (hour, attempt) -> millionths
    no_process: dict[tuple[int, str], int | None] = field(default_factory=dict)  # (hour, attempt) -> millionths of the slots


@dataclass
class Device:
    """A physical GPU: its units, and per second what its instances leave of it as (idle parts, stranded parts)."""

    key: str
    gpu: Gpu | None
    units: list[Unit] = field(default_factory=list)
    remainder: list[tuple[int, int]] = field(default_factory=list)
