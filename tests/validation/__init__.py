"""Tests of the comparing side; the frameworks themselves run by validation/run.py."""
