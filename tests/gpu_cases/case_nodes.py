"""Nodes by time: resized, replaced, interrupted, billed without the inventory, in the inventory without a bill, of several GPU models.

Belongs here: what a node is worth in each second. Does not: how its price is split (case_methods.py). Every GPU-second here costs
$0.001 unless the case says otherwise.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from tests.gpu_cases.cases import TEN, Case, Question, Row, charge, gpus, node, run, samples
from tests.oracle.plan import Cluster, Node

HALF = TEN + 1800
END = TEN + 3600


def whole(reason: str) -> Row:
    """GPU time that goes in one piece, without telemetry."""
    return Row(None, "unknown", reason, sharing=None, is_unmeasured=None)


def resized() -> Case:
    """2 GPUs until 10:30, 1 from then on, one resource: 2 x 1,800 + 1 x 1,800 = 5,400 GPU-seconds for $5.40. The run holds GPU 0 all hour:
    3,600 s = $3.60; GPU 1 is idle for its 1,800 s: $1.80. With the latest row's count alone the hour would have 3,600 GPU-seconds."""
    first = node("resized", 2, last=HALF)
    then = replace(first, gpus=first.gpus[:1], gpu_count=1, validity=((HALF, END),))
    cluster = Cluster("resized", nodes=[first, then], charges=[charge(first, "5.4")])
    cluster.samples = samples(first, TEN, END, 0, sm_active="1") + samples(first, TEN, HALF, 1, sm_active="0")
    cluster.intervals = [run("resized-r", first, gpu_ids=(first.gpus[0].uuid,))]
    return Case(
        "resized_within_the_hour",
        cluster,
        ledger={Row("training_run/resized-r", "used"): "3.6", Row(None, "unallocated_idle"): "1.8"},
        questions=[
            Question(
                "select gpu_count, billed_to - billed_from from intermediate.int_node_billed_stretches where node_key = 'resized-n|i-resized'"
                " order by billed_from",
                [(2, 1800), (1, 1800)],
            )
        ],
    )


def grown() -> Case:
    """1 GPU until 10:30, 2 from then on; a run asks for 2 GPUs from 10:30: all that the node has then, so it holds both. 1,800 s of GPU 0 idle
    before: $1.80 of $5.40."""
    then = node("grown", 2, HALF, END)
    first = replace(then, gpus=then.gpus[:1], gpu_count=1, validity=((TEN, HALF),))
    cluster = Cluster("grown", nodes=[first, then], charges=[charge(then, "5.4")])
    cluster.samples = samples(then, TEN, HALF, 0, sm_active="0")
    cluster.samples += samples(then, HALF, END, 0, sm_active="1") + samples(then, HALF, END, 1, sm_active="1")
    cluster.intervals = [run("grown-r", then, HALF, END, gpu_count=2)]
    return Case(
        "grown_within_the_hour",
        cluster,
        ledger={Row(None, "unallocated_idle"): "1.8", Row("training_run/grown-r", "used"): "3.6"},
    )


def shrunk_and_all_of_it() -> Case:
    """2 GPUs until 10:30, 1 from then on; a run asks for 1 GPU from 10:30 on: that is all of the node then (evidence whole_node), not one of two."""
    first = node("shrunk", 2, last=HALF)
    then = replace(first, gpus=first.gpus[:1], gpu_count=1, validity=((HALF, END),))
    cluster = Cluster("shrunk", nodes=[first, then], charges=[charge(first, "5.4")])
    cluster.samples = samples(first, TEN, HALF, 0, sm_active="0") + samples(first, TEN, HALF, 1, sm_active="0")
    cluster.samples += samples(first, HALF, END, 0, sm_active="1")
    cluster.intervals = [run("shrunk-r", first, HALF, END, gpu_count=1)]
    return Case(
        "shrunk_and_all_of_it",
        cluster,
        ledger={Row(None, "unallocated_idle"): "3.6", Row("training_run/shrunk-r", "used"): "1.8"},
        questions=[
            Question(
                "select distinct evidence from published.fct_cost_allocation where workload_key = 'training_run/shrunk-r'",
                [("whole_node",)],
            )
        ],
    )


def replaced() -> Case:
    """One host name, two machines: i-replaced until 10:15 (billed 900 s, $0.90), i-replaced-b from 10:30 (1,800 s, $1.80). The run goes on: it pays
    for both, and its 900 s between them are nobody's bill."""
    old = node("replaced", last=TEN + 900)
    new = Node(old.hostname, "i-replaced-b", gpus("replaced-b"), 1, ((HALF, END),))
    cluster = Cluster("replaced", nodes=[old, new])
    cluster.charges = [charge(old, "0.9", hours="0.25"), charge(new, "1.8", hours="0.5")]
    cluster.samples = samples(old, TEN, TEN + 900, sm_active="1") + samples(new, HALF, END, sm_active="1")
    cluster.intervals = [run("replaced-r", old, gpu_count=1)]
    return Case(
        "replaced_within_the_hour",
        cluster,
        ledger={Row("training_run/replaced-r", "used"): "2.7"},
        questions=[
            Question(
                "select held_gpu_seconds::int, used_gpu_seconds::int, held_unbilled_seconds::int, run_cost_usd from published.fct_run_attempt_cost"
                " where attempt_key = 'training_run/replaced-r/1'",
                [(3600, 2700, 900, Decimal("2.7"))],
            )
        ],
    )


def interrupted() -> Case:
    """A spot machine taken back at 10:30, billed 45 minutes: 1,800 s lie on the inventory's time, 900 s lie nowhere: $2.70 = $1.80 used and
    $0.90 unknown. The scheduler believes the run to go on until 11:00: 1,800 s held without a bill."""
    at = node("spot", last=HALF)
    cluster = Cluster("spot", nodes=[at], charges=[charge(at, "2.7", hours="0.75")], samples=samples(at, TEN, HALF, sm_active="1"))
    cluster.intervals = [run("spot-r", at, gpu_ids=(at.gpus[0].uuid,))]
    return Case(
        "spot_interruption_mid_hour",
        cluster,
        ledger={Row("training_run/spot-r", "used"): "1.8", Row(None, "unknown", "billed_window_mismatch"): "0.9"},
        questions=[
            Question(
                "select held_unbilled_seconds::int from published.fct_run_attempt_cost where attempt_key = 'training_run/spot-r/1'",
                [(1800,)],
            ),
            Question(
                "select measured_value from published.fct_data_quality where subject = 'spot-n|i-spot' and measure = 'billed_window_mismatch'",
                [(1,)],
            ),
        ],
    )


def billed_without_the_node() -> Case:
    """The inventory has the node from 10:00 to 11:00; the bill has it at 12:00 too: those $3.60 are unknown, whole."""
    at = node("ghost")
    cluster = Cluster("ghost", nodes=[at], charges=[charge(at, "3.6"), charge(at, "3.6", hour=TEN + 7200)])
    cluster.samples = samples(at, TEN, END, sm_active="1")
    cluster.intervals = [run("ghost-r", at, gpu_ids=(at.gpus[0].uuid,))]
    return Case(
        "billed_hour_without_the_node",
        cluster,
        ledger={Row("training_run/ghost-r", "used"): "3.6", whole("node_without_telemetry"): "3.6"},
    )


def node_without_a_bill() -> Case:
    """Two machines of one provider; the bill has come as far as 12:00 and charges one of them alone. What ran on the other has its seconds,
    and no dollars: no charge will come."""
    billed, free = node("billed", provider="unbilled"), node("unbilled")
    cluster = Cluster("unbilled", nodes=[billed, free], charges=[charge(billed, "3.6"), charge(billed, "0", hour=TEN + 3600)])
    cluster.samples = samples(billed, TEN, END, sm_active="0") + samples(free, TEN, END, sm_active="1")
    cluster.intervals = [run("unbilled-r", free, gpu_ids=(free.gpus[0].uuid,))]
    return Case(
        "node_without_a_bill",
        cluster,
        ledger=None,
        questions=[
            Question(
                "select held_gpu_seconds::int, held_unbilled_seconds::int, awaiting_bill_gpu_seconds::int, run_cost_usd, pricing_status"
                " from published.fct_run_attempt_cost where attempt_key = 'training_run/unbilled-r/1'",
                [(3600, 3600, 0, None, "no_charge")],
            ),
            Question("select count(*) from published.fct_cost_allocation where node = 'unbilled-n'", [(0,)]),
        ],
    )


def several_models() -> Case:
    """One machine told by three rows: 1 A100, 1 H100, 1 GPU whose model nobody wrote down. 3 x 3,600 GPU-seconds for $10.80; each run has one of
    them for $3.60. A join on the node without the model would make 9 GPUs of it, one row alone 1."""
    at = node("models", 3)
    models = ("NVIDIA A100-SXM4-80GB", "NVIDIA H100 80GB HBM3", "")
    rows = [
        replace(at, gpus=(replace(at.gpus[n], model=model),), gpu_count=1, gpu_model=model, lists_gpus=True)
        for n, model in enumerate(models)
    ]
    cluster = Cluster("models", nodes=rows, charges=[charge(at, "10.8")])
    for n in range(3):
        cluster.samples += samples(at, TEN, END, n, sm_active="1")
        cluster.intervals.append(run(f"models-{n}", at, gpu_ids=(at.gpus[n].uuid,)))
    return Case(
        "several_gpu_models_on_a_node",
        cluster,
        bug="B21",
        ledger={Row(f"training_run/models-{n}", "used"): "3.6" for n in range(3)},
        questions=[
            Question("select gpu_count, count(*) over () from published.dim_node where node = 'models-n'", [(3, 1)]),
            Question(
                "select count(distinct gpu_key), sum(billed_seconds)::int from published.fct_gpu_utilization where node = 'models-n'"
                " and billed_seconds > 0",
                [(3, 10800)],
            ),
        ],
    )


def told_twice() -> Case:
    """The same machine in two rows that agree in all but the zone: one machine, 3,600 GPU-seconds, not two."""
    at = node("twice")
    cluster = Cluster("twice", nodes=[at, replace(at, zone="b")], charges=[charge(at, "3.6")], samples=samples(at, TEN, END, sm_active="1"))
    cluster.intervals = [run("twice-r", at, gpu_ids=(at.gpus[0].uuid,))]
    return Case("parallel_rows_of_one_machine", cluster, ledger={Row("training_run/twice-r", "used"): "3.6"})


CASES = [
    resized(),
    grown(),
    shrunk_and_all_of_it(),
    replaced(),
    interrupted(),
    billed_without_the_node(),
    node_without_a_bill(),
    several_models(),
    told_twice(),
]
