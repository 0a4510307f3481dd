"""Whole runs as plain data, built by hypothesis (short ones that it can shrink) or from a seed (long ones, full of fills)."""

from tests.cases.basic import cases, dense_case
from tests.cases.case import Action, Case
from tests.cases.families import FAMILIES, family_cases, rich_case

__all__ = ["FAMILIES", "Action", "Case", "cases", "dense_case", "family_cases", "rich_case"]
