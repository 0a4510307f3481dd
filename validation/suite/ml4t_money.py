"""Stub."""


def refused_for_money(scene):
    return None
