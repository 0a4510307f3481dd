"""The slow, plain broker that the fast kernels are checked against; its only source is docs/execution.md."""

from tests.oracle.broker import Broker
from tests.oracle.oracle import Oracle
from tests.oracle.records import OracleFill, OracleOrder, OracleResult, OracleTrade
from tests.oracle.settings import Settings

__all__ = ["Broker", "Oracle", "OracleFill", "OracleOrder", "OracleResult", "OracleTrade", "Settings"]
