"""Judges a candidate release: may it go out?"""

from memberhouse.gate.judge import Verdict, evaluate

__all__ = ["Verdict", "evaluate"]
