"""Answers to one small case."""

from __future__ import annotations

from ml4t_backtest import BacktestConfig
from validation.runners.exchange import Answers, Instruction, Job
from validation.suite.framework import Plan
from validation.suite.markets import walk
from validation.suite.ours import run_here

__all__ = ["answered", "small_job"]


def small_job(name: str = "small") -> Job:
    """Return two round trips, a bracket and an order that is refused."""
    market = walk("small", seed=5, bars=30, assets=2)
    times = market.times.tolist()
    script = (
        Instruction(times[1], "A000", "market", 100.0, label="in"),
        Instruction(times[6], "A000", "close", label="out"),
        Instruction(times[3], "A001", "bracket", 50.0, take_profit=140.0, stop_loss=70.0, label="both"),
        Instruction(times[9], "A000", "market", 1e6, label="too much"),
        Instruction(times[12], "A001", "market", -80.0, label="flip"),
        Instruction(times[20], "A001", "market", 30.0, label="cover"),
    )
    return Job(name, market, {"cash": 20_000.0}, script)


def answered(job: Job) -> Answers:
    """Return what our engine makes of a case, with costs."""
    config = BacktestConfig(
        account_type="crypto", initial_cash=job.settings["cash"], commission_rate=0.001, slippage_type="percentage", slippage_rate=0.001
    )
    answers = Answers()
    run_here(job, Plan(config), answers)
    return answers
