"""Member value: what members will buy, estimated from published purchase days and told beside the rule stages."""

from memberhouse.value.fitting import Fit, fit, is_fitted

__all__ = ["Fit", "fit", "is_fitted"]
