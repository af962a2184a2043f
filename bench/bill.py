"""The company's bill: an AWS CUR 2.0 month as Parquet files whose rows are shuffled over the whole month, with its manifest.

Belongs here: the bill's rows. Does not: nodes and jobs (company.py).

As AWS does it, the open month is delivered anew every day: all its days so far, under new line item ids, in as many files.
"""

from __future__ import annotations

import datetime as dt
import json
import shutil
from pathlib import Path

import duckdb

from bench.company import set_variable
from pipelines.warehouse import quote_text

EXPORT = "company-cur2"
_NO_DISCOUNT = (  # filled only where a negotiated discount applies
    "line_item_net_unblended_cost", "reservation_net_effective_cost",
    "reservation_net_unused_amortized_upfront_fee_for_billing_period", "reservation_net_unused_recurring_fee",
    "savings_plan_net_savings_plan_effective_cost",
)  # fmt: skip
_NO_FEE = (
    "reservation_unused_amortized_upfront_fee_for_billing_period", "reservation_unused_recurring_fee",
    "reservation_amortized_upfront_fee_for_billing_period", "savings_plan_total_commitment_to_date", "savings_plan_used_commitment",
    "savings_plan_amortized_upfront_commitment_for_billing_period",
)  # fmt: skip

# GPU nodes: an instance-hour and a volume-hour each, every fifth node under a Savings Plan (covered usage and its negation).
_NODE_ROWS = """
    select
        d, h, n as i, line_type, 'AmazonEC2' as product,
        case when line_type = 'volume' then 'EBS:VolumeUsage.gp3' else 'BoxUsage:p5.48xlarge' end as usage_type,
        case when line_type = 'volume' then 'CreateVolume-Gp3' else 'RunInstances' end as operation,
        case line_type when 'volume' then volume_id when 'SavingsPlanNegation' then '' else resource_id end as resource_id,
        case when line_type = 'volume' then 2.77777778 else 1.0 end as usage_amount,
        case line_type when 'volume' then 0.2222222224 when 'SavingsPlanNegation' then -98.32 else 98.32 end as cost,
        case when line_type = 'volume' then null when n % 5 = 0 then 'plan' end as commitment,
        '100000000001' as account, n % 20 as tag_number, true as has_tags
    from nodes
    cross join (select unnest(['usage', 'volume', 'SavingsPlanNegation']) as line_type) as types
    cross join range(24) as hours(h)
    cross join range(getvariable('day_count')) as days(d)
    where line_type <> 'SavingsPlanNegation' or n % 5 = 0
"""

# The rest: rows of 6 kinds in groups of six neighbours, each in every hour of the day.
_OTHER_ROWS = """
    select
        d, i % 24 as h, i, case when kind = 'rds' and i % 48 < 24 then 'DiscountedUsage' else 'usage' end as line_type,
        case kind when 's3' then 'AmazonS3' when 'lambda' then 'AWSLambda' when 'watch' then 'AmazonCloudWatch' when 'rds' then 'AmazonRDS' else 'AmazonEC2' end as product,
        case kind
            when 's3' then ['Requests-Tier1', 'Requests-Tier2', 'Requests-Tier1', 'Requests-Tier2', 'Requests-Tier1', 'TimedStorage-ByteHrs'][(1 + m)::int]
            when 'machine' then 'BoxUsage:m6i.' || ['large', 'xlarge', '2xlarge', '4xlarge', '8xlarge', 'metal'][(1 + m)::int]
            when 'volume' then 'EBS:VolumeUsage.gp3'
            when 'traffic' then ['DataTransfer-Regional-Bytes', 'USE1-USW2-AWS-Out-Bytes'][(1 + m % 2)::int]
            when 'lambda' then ['Lambda-GB-Second', 'Request'][(1 + m % 2)::int]
            when 'watch' then 'CW:MetricMonitorUsage' else 'InstanceUsage:db.r6g.large' end as usage_type,
        case kind
            when 's3' then ['PutObject', 'GetObject', 'ListBucket', 'HeadObject', 'CopyObject', 'StandardStorage'][(1 + m)::int]
            when 'machine' then 'RunInstances' when 'volume' then 'CreateVolume-Gp3'
            when 'traffic' then ['InterZone-In', 'InterZone-Out', 'PublicIP-In', 'PublicIP-Out', 'LoadBalancing', 'Nat'][(1 + m)::int]
            when 'watch' then 'MetricUpdate' || m else 'Invoke' end as operation,
        case kind when 's3' then 'bucket-' || q when 'machine' then 'i-' || printf('%017x', r) when 'volume' then 'vol-' || printf('%017x', r)
            when 'traffic' then 'i-' || printf('%017x', q) when 'lambda' then 'arn:aws:lambda:us-east-1:' || q || ':function:f' || q
            when 'watch' then '' else 'arn:aws:rds:us-east-1:db:d' || r end as resource_id,
        (hash(i, d) % 1000000)::bigint / 1000.0 as usage_amount,
        round((hash(i, d) % 1000000)::bigint / 1000.0 * (1 + r % 97) * 0.0000023, 10) as cost,
        case when kind = 'rds' and i % 48 < 24 then 'reservation' end as commitment,
        '1000000000' || lpad((hash(q, 'account') % 12)::varchar, 2, '0') as account, hash(q, 'tags') % 3000 as tag_number, hash(q, 'tagged') % 10 < 7 as has_tags
    from (
        select d, i, i // 24 as r, i // 144 as q, (i // 24) % 6 as m,
            case when k < 40 then 's3' when k < 58 then 'machine' when k < 73 then 'volume' when k < 87 then 'traffic' when k < 93 then 'lambda' when k < 97 then 'watch' else 'rds' end as kind
        from (select d, i, hash(i // 144) % 100 as k from range(getvariable('other_count')) as rows(i) cross join range(getvariable('day_count')) as days(d)
              where hash(i, d, 'file') % getvariable('file_count') = getvariable('file_number'))
    )
"""


def _line_items() -> str:
    reservation = "'arn:aws:ec2:us-east-1:100000000001:reserved-instances/r1'"
    plan = "'arn:aws:savingsplans::100000000001:savingsplan/s1'"
    zeros = ", ".join([f"cast(null as double) as {name}" for name in _NO_DISCOUNT] + [f"cast(0 as double) as {name}" for name in _NO_FEE])
    return f"""
    select
        md5(concat(getvariable('day_count'), '|', d, '|', h, '|', i, '|', line_type)) as identity_line_item_id,
        'Anniversary' as bill_bill_type, 'AWS' as bill_billing_entity, '' as bill_invoice_id, '100000000000' as bill_payer_account_id,
        getvariable('month')::timestamp as bill_billing_period_start_date, getvariable('month')::timestamp + interval 1 month as bill_billing_period_end_date,
        account as line_item_usage_account_id,
        getvariable('month')::timestamp + to_days(d::int) + to_hours(h::int) as line_item_usage_start_date,
        getvariable('month')::timestamp + to_days(d::int) + to_hours(h::int + 1) as line_item_usage_end_date,
        case when line_type = 'usage' and commitment = 'plan' then 'SavingsPlanCoveredUsage' when line_type in ('usage', 'volume') then 'Usage' else line_type end as line_item_line_item_type,
        usage_type || ' in us-east-1' as line_item_line_item_description,
        product as line_item_product_code, usage_type as line_item_usage_type, operation as line_item_operation, '' as line_item_availability_zone,
        resource_id as line_item_resource_id, usage_amount as line_item_usage_amount, 'USD' as line_item_currency_code,
        case when line_type = 'DiscountedUsage' then 0 else cost end as line_item_unblended_cost,
        greatest(cost, 0) as pricing_public_on_demand_cost, 'OnDemand' as pricing_term, 'Hrs' as pricing_unit,
        'us-east-1' as product_region_code, product as product_servicecode, product as product_product_family,
        case when commitment = 'reservation' then {reservation} else '' end as reservation_reservation_a_r_n,
        case when commitment = 'reservation' then round(cost * 0.6, 10) else 0 end as reservation_effective_cost,
        case when commitment = 'plan' then {plan} else '' end as savings_plan_savings_plan_a_r_n,
        case when commitment = 'plan' and line_type = 'usage' then round(cost * 0.55, 10) else 0 end as savings_plan_savings_plan_effective_cost,
        {zeros},
        case when has_tags then map_from_entries(list_filter([
            struct_pack(key := 'user_team', value := 'team-' || tag_number % 20), struct_pack(key := 'user_project', value := 'project-' || tag_number % 150),
            struct_pack(key := 'user_environment', value := ['prod', 'dev', 'research'][(1 + tag_number % 3)::int]), struct_pack(key := 'user_owner', value := 'owner-' || tag_number),
            case when tag_number % 15 = 0 then struct_pack(key := 'user_run_id', value := 'tagged-' || tag_number) end
        ], lambda e: e is not null)) else map([]::varchar[], []::varchar[]) end as resource_tags
    from charge_rows
    order by hash(d, h, i, line_type, 'shuffle')
"""  # noqa: S608


def write_bill(connection: duckdb.DuckDBPyConnection, folder: Path, month: dt.date, day_count: int, charges: int) -> None:
    """Deliver ``month`` with its first ``day_count`` days, in as many files; what was delivered before is replaced.

    ``connection`` comes from company.connect; ``charges`` is the number of rows a day.
    """
    partition = f"BILLING_PERIOD={month:%Y-%m}"
    data, metadata = folder / EXPORT / "data" / partition, folder / EXPORT / "metadata" / partition
    shutil.rmtree(data, ignore_errors=True)
    data.mkdir(parents=True)
    metadata.mkdir(parents=True, exist_ok=True)
    set_variable(connection, "month", month)
    set_variable(connection, "day_count", day_count)
    set_variable(connection, "file_count", day_count)
    of_nodes = connection.execute("select 48 * count(*) + 24 * count(*) filter (n % 5 = 0) from nodes").fetchone()
    set_variable(connection, "other_count", charges - int(of_nodes[0] if of_nodes else 0))
    names = []
    for number in range(day_count):
        set_variable(connection, "file_number", number)
        names.append(f"{EXPORT}-{number + 1:05d}.snappy.parquet")
        rows = f"with charge_rows as (select * from ({_NODE_ROWS}) where hash(i, h, d, line_type) % getvariable('file_count') = getvariable('file_number')"  # noqa: S608
        rows += f" union all {_OTHER_ROWS}) {_line_items()}"
        connection.execute(f"copy ({rows}) to {quote_text(str(data / names[-1]))} (format parquet, compression snappy)")
    files = [f"s3://bench-bills/{EXPORT}/data/{partition}/{name}" for name in names]
    manifest = {
        "exportName": EXPORT,
        "billingPeriod": {"start": f"{month:%Y%m%d}T000000.000Z"},
        "compression": "Parquet",
        "dataFiles": files,
    }
    (metadata / f"{EXPORT}-Manifest.json").write_text(json.dumps(manifest, indent=1), encoding="utf-8")
