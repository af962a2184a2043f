"""The columns of FOCUS Cost and Usage, versions 1.0 to 1.4, as one raw table.

Belongs here: their names, types and what they mean, the few of AWS's own, and how a file's column is recognised. Does not: reading
a file (focus_rows.py), what a row means (dbt models).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from pipelines.errors import DeliveryRefused
from pipelines.source import Column, ColumnType, RawTable

TABLE = "rows"
REQUIRED = ("BilledCost", "EffectiveCost", "BillingCurrency", "ChargeCategory", "ChargePeriodStart", "BillingPeriodStart")

# FOCUS name | type | meaning. The raw column is the name in snake_case. A version stands where the column is not in all of them.
_COLUMNS = """
AllocatedMethodId | VARCHAR | the method by which a shared charge was split (1.3)
AllocatedMethodDetails | JSON | ratios and usage behind the split (1.3)
AllocatedResourceId | VARCHAR | the resource that the split row is for (1.3)
AllocatedResourceName | VARCHAR | its name (1.3)
AllocatedTags | JSON | its tags (1.3)
AvailabilityZone | VARCHAR | the availability zone
BilledCost | MONEY | what is invoiced for the row; never missing
BillingAccountId | VARCHAR | the account that is invoiced
BillingAccountName | VARCHAR | its name
BillingAccountType | VARCHAR | its kind (1.2)
BillingCurrency | VARCHAR | the currency of every cost of the row
BillingPeriodEnd | TIMESTAMP | end of the billing period, exclusive
BillingPeriodStart | TIMESTAMP | first instant of the billing period
CapacityReservationId | VARCHAR | the capacity reservation that the row uses or wastes (1.1)
CapacityReservationStatus | VARCHAR | Used or Unused (1.1)
ChargeCategory | VARCHAR | Usage, Purchase, Tax, Credit or Adjustment
ChargeClass | VARCHAR | Correction, or empty
ChargeDescription | VARCHAR | the charge in words
ChargeFrequency | VARCHAR | One-Time, Recurring or Usage-Based
ChargePeriodEnd | TIMESTAMP | end of the charge period, exclusive
ChargePeriodStart | TIMESTAMP | start of the charge period; NULL where it could not be read
CommitmentDiscountCategory | VARCHAR | Spend or Usage
CommitmentDiscountId | VARCHAR | the commitment that covers or causes the row
CommitmentDiscountName | VARCHAR | its name
CommitmentDiscountQuantity | MONEY | how much of the commitment was bought or used (1.1)
CommitmentDiscountStatus | VARCHAR | Used or Unused
CommitmentDiscountType | VARCHAR | the provider's name for this kind of commitment
CommitmentDiscountUnit | VARCHAR | unit of the commitment's quantity (1.1)
CommitmentProgramEligibilityDetails | JSON | commitment programs that could cover the row (1.4)
ConsumedQuantity | MONEY | usage in ConsumedUnit, as exact decimal text
ConsumedUnit | VARCHAR | unit of the usage
ContractApplied | JSON | contract commitments that the row counts towards (1.3)
ContractedCost | MONEY | at negotiated prices, before commitment discounts
ContractedUnitPrice | MONEY | the negotiated price of one pricing unit
EffectiveCost | MONEY | after all discounts, prepaid purchases amortised; never missing
HostProviderName | VARCHAR | whose infrastructure it runs on (1.3)
InvoiceDetailId | VARCHAR | the line of the invoice (1.4)
InvoiceId | VARCHAR | the invoice; empty until it is issued (1.2)
InvoiceIssuerName | VARCHAR | who sends the invoice
ListCost | MONEY | at list prices
ListUnitPrice | MONEY | the list price of one pricing unit
PricingCategory | VARCHAR | Standard, Dynamic, Committed or Other
PricingCurrency | VARCHAR | the currency, or virtual currency, of the price (1.2)
PricingCurrencyContractedUnitPrice | MONEY | the negotiated price in it (1.2)
PricingCurrencyEffectiveCost | MONEY | the effective cost in it (1.2)
PricingCurrencyListUnitPrice | MONEY | the list price in it (1.2)
PricingQuantity | MONEY | quantity in PricingUnit
PricingUnit | VARCHAR | unit of the price
ProviderName | VARCHAR | who provides the service (until 1.3)
PublisherName | VARCHAR | who made it (until 1.3)
RegionId | VARCHAR | the region
RegionName | VARCHAR | its name
ResourceId | VARCHAR | the instance, volume or other resource; empty where there is none
ResourceName | VARCHAR | its name
ResourceType | VARCHAR | its kind
ServiceCategory | VARCHAR | Compute, Storage, AI and Machine Learning and so on
ServiceName | VARCHAR | the service
ServiceProviderName | VARCHAR | who provides the service (1.3)
ServiceSubcategory | VARCHAR | finer than the category (1.1)
SkuId | VARCHAR | the SKU
SkuMeter | VARCHAR | what the SKU measures (1.1)
SkuPriceDetails | JSON | properties of the SKU's price (1.1)
SkuPriceId | VARCHAR | the SKU's price
SubAccountId | VARCHAR | the account, project or subscription that used
SubAccountName | VARCHAR | its name
SubAccountType | VARCHAR | its kind (1.2)
TagDetails | JSON | where each tag comes from (1.4)
Tags | JSON | tags: key to value
x_CostCategories | JSON | AWS: cost categories
x_Discounts | JSON | AWS: discounts by name
x_Operation | VARCHAR | AWS: the operation, such as RunInstances
x_ServiceCode | VARCHAR | AWS: the service's code, such as AmazonEC2
x_UsageType | VARCHAR | AWS: what was used, such as BoxUsage:p4d.24xlarge
"""


def snake(name: str) -> str:
    """``BillingAccountId`` -> ``billing_account_id``; what is snake_case already stays."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def _key(name: str) -> str:
    """What two spellings of one column have in common: case and underscores aside."""
    return name.strip().lower().replace("_", "")


_PARSED = [tuple(line.split(" | ")) for line in _COLUMNS.strip().splitlines()]
FOCUS_NAMES = {snake(name): name for name, *_ in _PARSED}
ROWS = RawTable(
    TABLE,
    "one row of the FOCUS Cost and Usage dataset, as delivered",
    (
        *(Column(snake(name), cast(ColumnType, kind), meaning) for name, kind, meaning in _PARSED),
        Column("provider_option", "VARCHAR", "the provider as the settings name it; NULL where they do not"),
    ),
)
_BY_KEY = {_key(name): snake(name) for name, *_ in _PARSED}


@dataclass(frozen=True)
class Header:
    """How a file's columns are read. columns: raw column -> the file's own name. ignored: the file's names that nobody asks for."""

    columns: dict[str, str]
    ignored: tuple[str, ...]


def recognise(names: Sequence[str], where: str) -> Header:
    """Match a file's column names with the raw table's, in any case and in snake_case.

    Raises DeliveryRefused where a required column is missing, and where two columns of the file mean the same one.
    """
    columns: dict[str, str] = {}
    ignored = []
    for own in names:
        raw = _BY_KEY.get(_key(own))
        if raw is None:
            ignored.append(own)
        elif raw in columns:
            raise DeliveryRefused(
                f"two columns are {FOCUS_NAMES[raw]}: {columns[raw]!r} and {own!r}", where=where, remedy="export the file with one of them"
            )
        else:
            columns[raw] = own
    if absent := [name for name in REQUIRED if snake(name) not in columns]:
        raise DeliveryRefused(
            f"column missing: {', '.join(absent)}",
            where=where,
            remedy="this must be a FOCUS 1.0 to 1.4 Cost and Usage file; export it with these columns",
        )
    return Header(columns, tuple(ignored))
