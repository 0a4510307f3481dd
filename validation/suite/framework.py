"""What the comparing side knows of a framework."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from ml4t_backtest import BacktestConfig
from validation.runners.exchange import Job

if TYPE_CHECKING:
    from validation.runners.exchange import Answers
    from validation.suite.compare import Comparison

__all__ = ["CLOSE", "EXACT", "Family", "Framework", "Plan", "Tolerance"]


@dataclass(frozen=True)
class Tolerance:
    """How far a number may be off: `abs(theirs - ours) <= absolute + relative * abs(theirs)`; both 0 means `==`.

    reason: why it may be; needed for everything above CLOSE.
    """

    relative: float = 0.0
    absolute: float = 0.0
    reason: str = ""


EXACT = Tolerance()
CLOSE = Tolerance(relative=1e-9, absolute=1e-9)  # absolute: for sums that cancel, in money


@dataclass(frozen=True)
class Plan:
    """How our engine runs a case as a framework would.

    config: usually of the framework's preset. keywords: of `Engine`. rules: position rules, from the case's settings.
    strategy: makes the strategy that plays the job, instead of the one that follows the script; what it returns has a mapping
    `labels` from label to order id (or none). flat_to_flat: all exits of a position count as one trade, with the entry price of the last
    one and the average exit price. average_entry: with the average entry price of all exits. by_label: the fills of one bar are told by
    label instead of in their order.
    """

    config: BacktestConfig
    keywords: Mapping[str, Any] = field(default_factory=dict)
    strategy: Callable[[Job], Any] | None = None
    flat_to_flat: bool = False
    average_entry: bool = False
    by_label: bool = False


@dataclass(frozen=True)
class Family:
    """Random cases. make: the case of a seed; the same seed gives the same case. count: cases of a full run."""

    name: str
    count: int
    make: Callable[[int], Job]


@dataclass(frozen=True)
class Framework:
    """One framework.

    name: also of its requirement file, `runners/NAME_runner.py` and `suite/NAME.py`. title: for people. package: on the package index.
    preset: the preset that it is compared with. python: the version that its environment is made with. engines: variants that the
    runner is called with one after the other, most have one. plan: how a case is run here. plans: likewise, for engines that
    differ (`plan_for`). refuses: why the framework cannot express a case, None when it can. tolerances: (table, column) to
    tolerance, CLOSE where nothing is said; times, assets and texts are always equal. not_reported: "table" or "table.column" to
    the reason why the framework does not report it; those stay uncompared. families: random cases. at_scale: whether it takes
    part in the large case. notes: what a reader of the report should know. explain: attributes the cases that differ to
    documented differences: case to entries of docs/differences.md, () for a mismatch; it may run cases again.
    """

    name: str
    title: str
    package: str
    preset: str
    plan: Callable[[Job], Plan]
    refuses: Callable[[Job], str | None]
    python: Literal["3.11", "3.12"] = "3.11"
    engines: tuple[str, ...] = ("",)
    tolerances: Mapping[tuple[str, str], Tolerance] = field(default_factory=dict)
    not_reported: Mapping[str, str] = field(default_factory=dict)
    families: tuple[Family, ...] = ()
    at_scale: bool = False
    notes: tuple[str, ...] = ()
    explain: Callable[[list[Job], Mapping[str, Comparison], Answers, Answers], dict[str, tuple[str, ...]]] | None = None
    plans: Mapping[str, Callable[[Job], Plan]] = field(default_factory=dict)

    def plan_for(self, job: Job, engine: str = "") -> Plan:
        """Return how a case is run here to be compared with one of the framework's variants."""
        return self.plans.get(engine, self.plan)(job)
