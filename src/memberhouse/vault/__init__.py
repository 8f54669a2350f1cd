"""Personal data: told apart at load, kept in one schema, joined elsewhere by keyed tokens only."""

from memberhouse.vault.key import tokens_of
from memberhouse.vault.masking import mask, masked, sounds_personal
from memberhouse.vault.tokens import Tokens
from memberhouse.vault.values import Values

__all__ = ["Tokens", "Values", "mask", "masked", "sounds_personal", "tokens_of"]
